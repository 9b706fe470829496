"""What is counted, logged and told of each fact, in one place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Raw

from bridge.messages import NULL, Reply, to_json
from bridge.messages.secrets import Secrets
from pool.stats import Counters
from pool.telemetry.events import (
    CallAbandoned,
    CallRetried,
    CheckoutExpired,
    CheckoutGranted,
    CheckoutShed,
    CircuitClosed,
    CircuitOpened,
    EnvironmentValidated,
    LeaseLeaked,
    PingAnswered,
    PoolClosed,
    PoolFailed,
    PoolOpened,
    PoolRecovered,
    ReplyLate,
    TemplateLoaded,
    WorkerExited,
    WorkerLost,
    WorkerRecycled,
    WorkerReplaced,
    WorkerStarted,
)
from pool.telemetry.hub import Hub

if TYPE_CHECKING:
    from pool.clock import Clock
    from pool.config import PoolConfig
    from pool.exchange.inflight import Call
    from pool.slots import Slot
    from pool.worker.timings import TemplateStart
    from pool.worker.worker import Worker

_log = logging.getLogger("bridgepool")

MAX_PHASES = 48 * 1024
"""Bytes above which what a command says of its phases is not looked at: more than 50 names of 100
characters take, whatever these are."""


class Chronicle:
    """The book of one pool's facts: its counters, its log, and its events.

    What happens in each call is counted where it happens, and told here only if
    somebody listens.
    """

    def __init__(self, config: PoolConfig, clock: Clock, hub: Hub, secrets: Secrets) -> None:
        self.counters = Counters()
        self.hub = hub
        self._name = config.pool_name
        self._config = config
        self._now = clock.now
        self._note, self._calls = hub.note, hub.calls  # in each call
        self._secrets = secrets

    # The pool

    def pool_opened(self, start_method: str) -> None:
        size, overflow = self._config.size, self._config.overflow
        self.hub.tell(PoolOpened(self._name, self._now(), size, overflow, start_method))

    def pool_failed(self, cause: object) -> None:
        _log.warning("%s: crash loop, work is refused", self._name)
        self.hub.tell(PoolFailed(self._name, self._now(), str(cause)))

    def pool_recovered(self) -> None:
        self.hub.tell(PoolRecovered(self._name, self._now()))

    def pool_closed(self) -> None:
        self.hub.tell(PoolClosed(self._name, self._now()))
        self.hub.flush()

    def validated(self, problems: Sequence[str], seconds: float) -> None:
        self.counters.validations["failed" if problems else "ok"] += 1
        self.hub.tell(
            EnvironmentValidated(self._name, self._now(), seconds, tuple(problems)),
        )

    def template_loaded(self, start: TemplateStart) -> None:
        took = start.took
        self.hub.tell(
            TemplateLoaded(
                self._name,
                self._now(),
                start.name,
                start.pid,
                start.generation,
                start.seconds,
                took.imports,
                took.preload,
                took.freeze,
            )
        )

    # Workers

    def worker_starts(self) -> None:
        self.counters.worker_starts += 1

    def worker_ready(self, worker: Worker) -> None:
        self.counters.starts["ok"] += 1
        _log.info("%s: ready (pid %s)", worker.name, worker.pid)
        if not self.hub.wants(WorkerStarted) or worker.pid is None:
            return
        took = worker.took
        self.hub.tell(
            WorkerStarted(
                self._name,
                self._now(),
                worker.name,
                worker.pid,
                worker.seat,
                worker.generation or 0,
                took.launch,
                took.imports,
                took.start_up,
                took.ready,
            )
        )

    def worker_exited(self, worker: Worker, *, failed_start: bool) -> None:
        self.counters.worker_exits[worker.reason] += 1
        if worker.ready_at is None:
            self.counters.starts["cancelled" if worker.error is None else "failed"] += 1
        now, status = self._now(), worker.returncode
        if worker.error is None:
            _log.info("%s: exited (%s)", worker.name, worker.reason)
        else:
            self._worker_lost(worker, now, failed_start=failed_start)
        self.hub.tell(
            WorkerExited(
                self._name,
                now,
                worker.name,
                worker.pid,
                worker.seat,
                worker.reason,
                status if status is None or status >= 0 else None,
                -status if status is not None and status < 0 else None,
                worker.finished_calls,
                now - worker.launched_at,
            )
        )
        if worker.reason.startswith("recycled"):
            self.hub.tell(WorkerRecycled(self._name, now, worker.name, worker.reason))

    def _worker_lost(self, worker: Worker, now: float, *, failed_start: bool) -> None:
        self.counters.failed_starts += failed_start
        self.counters.replacements += not failed_start
        extra = {"pool": self._name, "worker": worker.name}
        _log.warning("%s", worker.error, extra=extra)
        error = str(worker.error)
        self.hub.tell(
            WorkerLost(
                self._name, now, worker.name, worker.ready_at is not None, worker.reason, error
            )
        )

    def worker_replaced(self, worker: Worker, gap: float) -> None:
        self.hub.tell(WorkerReplaced(self._name, self._now(), worker.name, gap))

    def ping_answered(self, worker: Worker, seconds: float) -> None:
        self.counters.pings["ok"] += 1
        _log.debug("%s: answered a ping", worker.name)
        self.hub.tell(PingAnswered(self._name, self._now(), worker.name, seconds))

    # Checkouts

    def granted(self, slot: Slot[Worker], now: float) -> None:
        """A slot is lent. Only if `hub.granted`."""
        self._note(CheckoutGranted(self._name, now, slot.worker.name, slot.waited))

    def returned(self, slot: Slot[Worker], now: float, *, was_alone: bool) -> None:
        """A checkout is over: its slot is given back, or abandoned; a call that `was_alone` on it
        has told of that.

        Only if `hub.checkouts.are_wanted`.
        """
        row = (now, slot.worker.name, slot.waited, now - slot.lent_at)
        checkouts = self.hub.checkouts
        if not was_alone:
            checkouts.add(row)
        elif checkouts.one_by_one:
            checkouts.note(row)

    def shed(self, waiting: int, retry_after: float) -> None:
        if self.hub.wants(CheckoutShed):
            self._note(CheckoutShed(self._name, self._now(), waiting, retry_after))

    def expired(self, waited: float) -> None:
        if self.hub.wants(CheckoutExpired):
            self._note(CheckoutExpired(self._name, self._now(), waited))

    def leaked(self, worker: str, seconds: float, stack: str) -> None:
        self.counters.leaks += 1
        _log.warning(
            "%s: %s has been lent for %.2f s, longer than leak_threshold=%g s; leave its `with` "
            "block sooner, or raise the threshold. It was taken at (most recent call last):\n%s",
            self._name,
            worker,
            seconds,
            self._config.leak_threshold,
            stack,
            extra={"pool": self._name, "worker": worker},
        )
        self.hub.tell(LeaseLeaked(self._name, self._now(), worker, seconds, stack))

    # Calls

    def call_finished(
        self, worker: Worker, call: Call, reply: Reply | None, outcome: str, now: float
    ) -> None:
        """A call has ended for its caller. Only if `hub.calls.are_wanted`."""
        prepared = call.prepared
        size = len(prepared.args)
        if prepared.large:
            size += sum(value.size for value in prepared.large)
        compute = phases = None
        if reply is not None:
            try:
                compute = _decode_seconds(reply.raw_compute)
            except ValueError:
                compute = None  # a foreign bridge means something else by it
            if reply.phases is not NULL:
                phases = self._phases(reply.phases)
        # Without a call of `add`: each call comes through here.
        rows = self._calls
        if not rows:
            rows.begin()
        rows += (
            now,
            worker.name,
            prepared.command,
            outcome,
            call.waited,
            now - call.sent_at,
            compute,
            size,
            call.response_bytes,
            call.counts,
            call.items_seen,
            phases,
            call.is_alone,
        )
        if rows.one_by_one:
            rows.note(rows[-rows.width :])

    def _phases(self, raw: Raw) -> Raw | None:
        """What a bridge says of its phases, if it is that: their names are shown to people."""
        if len(memoryview(raw)) <= MAX_PHASES:
            with suppress(ValueError):
                return Raw(to_json(self._secrets.hide_in(_decode_phases(raw))))
        return None

    def call_abandoned(self, worker: Worker, call: Call, outcome: str) -> None:
        command, now = call.prepared.command, self._now()
        self.hub.tell(CallAbandoned(self._name, now, worker.name, command, outcome))
        if self.hub.checkouts.are_wanted and call.slot is not None:
            self.returned(call.slot, now, was_alone=call.is_alone)

    def retried(self, command: str, lost: int, reason: str) -> None:
        self.counters.retries += 1
        self.hub.tell(CallRetried(self._name, self._now(), command, lost, reason))

    def reply_late(self, worker: Worker) -> None:
        self.counters.late_replies += 1
        self.hub.tell(ReplyLate(self._name, self._now(), worker.name))

    def circuit_opened(self, command: str, failed_with: str, open_for: float) -> None:
        _log.warning(
            "%s: calls of %r keep failing, the last with %s; they are refused for %g s",
            self._name,
            command,
            failed_with,
            open_for,
            extra={"pool": self._name},
        )
        self.hub.tell(CircuitOpened(self._name, self._now(), command, failed_with))

    def circuit_closed(self, command: str) -> None:
        _log.info("%s: calls of %r succeed again", self._name, command)
        self.hub.tell(CircuitClosed(self._name, self._now(), command))


_decode_seconds = msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=0)] | None).decode
_decode_phases = msgspec.json.Decoder(dict[str, Annotated[float, msgspec.Meta(ge=0)]]).decode

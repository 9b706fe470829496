"""What a checkout lends: a worker, until the end of the block."""

from __future__ import annotations

from typing import Any

from pool.acquire import take_idle, wait_for_slot
from pool.clock import Alarm
from pool.dispatch import send
from pool.errors import LeaseClosed
from pool.exchange.calls import Prepared
from pool.exchange.feed import Feed
from pool.exchange.inflight import Call
from pool.leaks import Stack, take_stack, watch
from pool.slots import Slot
from pool.stream import Stream, send_stream
from pool.supervisor import Supervisor
from pool.timeouts import UNSET, Deadline, Timeout, seconds
from pool.turns import Turns
from pool.worker.worker import Worker


class Lease:
    """A worker that is yours until the block ends.

    Calls made at the same time on one lease run one after another, in the
    order they were made. When a call on it timed out or was cancelled, and
    after its block, the lease is over and using it raises `LeaseClosed`.
    """

    # Of most leases these never change.
    _running: Call | None = None
    _turns: Turns | None = None
    _over = ""
    _owns_slot = True
    _waited: float | None
    """What the checkout waited, until a call has told of it."""

    def __init__(
        self, supervisor: Supervisor, slot: Slot[Worker], leak_alarm: Alarm | None
    ) -> None:
        self._supervisor = supervisor
        self._slot = slot
        self._leak_alarm = leak_alarm
        self._waited = slot.waited

    def __repr__(self) -> str:
        return f"<Lease of {self.name}{' (over)' if self._over else ''}>"

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._slot.worker.name

    @property
    def pid(self) -> int | None:
        """The worker's process."""
        return self._slot.worker.pid

    async def call(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Any:
        """Run a command and return its result as `result_type`, any type that msgspec knows.

        `args` is a mapping, struct or dataclass of arguments. `timeout` is in
        seconds, from now. Raises `RequestError`, `CallTimeout`, `RemoteError`,
        `ResultTypeError`, a `WorkerError`, `LeaseClosed`, or, with a `breaker`,
        `CircuitOpen`.
        """
        if self._over:
            raise self._closed()
        supervisor = self._supervisor
        config = supervisor.config
        allowed = config.call_timeout if timeout is UNSET else seconds(timeout, None)
        now = supervisor.clock.now()
        deadline = Deadline.after(now, allowed)
        with supervisor.guarding(command) as traced:
            prepared = supervisor.codec.prepare(
                command, args, session, config.max_frame_bytes, traced
            )
            if self._turns is not None or self._running is not None:
                now = await self._wait_for_turn(deadline, command)
            call = None
            try:
                call = self._running = send(supervisor, self._slot, prepared, deadline, now, Call)
                call.waited, self._waited = self._waited, None
                reply = await call
            finally:
                self.end_turn(call)
            return supervisor.codec.result_of(reply, command, result_type, supervisor.secrets)

    async def _wait_for_turn(self, deadline: Deadline, command: str) -> float:
        """Return when the turn has come, with the instant; raises if it does not come in time."""
        if self._turns is None:
            self._turns = Turns(self._supervisor.clock)
        await self._turns.take(deadline, command)
        if self._over:
            self._turns.release()
            raise self._closed()
        return self._supervisor.clock.now()

    def stream(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Stream:
        """Run a command whose result comes item by item: see `WorkerPool.stream`.

        It is a call on the lease: others wait until its block is left, and when it
        is left before the last item the lease is over.
        """
        allowed = seconds(timeout, self._supervisor.config.call_timeout)
        seat = _LeaseSeat(self)
        return Stream(self._supervisor, seat, command, args, session, allowed, result_type)

    async def begin_stream(
        self, prepared: Prepared, deadline: Deadline
    ) -> tuple[Slot[Worker], Feed]:
        """Send the call of a stream when its turn has come."""
        if self._over:
            raise self._closed()
        now = self._supervisor.clock.now()
        if self._turns is not None or self._running is not None:
            now = await self._wait_for_turn(deadline, prepared.command)
        feed = None
        try:
            feed = self._running = send_stream(
                self._supervisor, self._slot, prepared, deadline, now
            )
            feed.waited, self._waited = self._waited, None
        finally:
            if feed is None:
                self.end_turn(None)
        return self._slot, feed

    def end_turn(self, call: Call | None) -> None:
        """The call whose turn it was is answered or given up; None if it was never sent."""
        self._running = None
        if call is not None and call.given_up:
            self._lose_slot("a call on it timed out, was cancelled or was left early")
        if self._turns is not None:
            self._turns.release()

    def end(self) -> None:
        """The block is over: a call still running fails at once, else the slot goes back."""
        why = "its block has ended"
        if self._running is not None and self._slot.worker.calls.end(self._running):
            self._lose_slot(why)
        elif self._owns_slot:
            self._supervisor.end_checkout(self._slot)
            self._lose_slot(why)

    def _lose_slot(self, why: str) -> None:
        """From here on the slot is not this lease's: it may be lent to somebody else."""
        self._owns_slot = False
        self._over = self._over or why
        if self._leak_alarm is not None:
            self._leak_alarm.cancel()

    def _closed(self) -> LeaseClosed:
        return LeaseClosed(f"the lease of {self.name} is over: {self._over}")


class _LeaseSeat:
    """A stream's place among the calls of a lease."""

    def __init__(self, lease: Lease) -> None:
        self.begin = lease.begin_stream
        self.end = lease.end_turn


class Checkout:
    """`async with pool.checkout() as worker`."""

    _lease: Lease | None = None
    _taken_by: Stack | None = None

    def __init__(self, supervisor: Supervisor, timeout: float | None) -> None:
        self._supervisor = supervisor
        self._timeout = timeout

    def note_caller(self) -> None:
        """Remember who takes the lease, on this thread, in case it is held too long."""
        if self._supervisor.config.leak_threshold is not None:
            self._taken_by = take_stack()

    async def __aenter__(self) -> Lease:
        if self._lease is not None:
            raise RuntimeError("a checkout is entered once; call `pool.checkout()` for each")
        supervisor = self._supervisor
        watched = supervisor.config.leak_threshold is not None
        if watched and self._taken_by is None:
            self.note_caller()
        now = supervisor.clock.now()
        slot = take_idle(supervisor, now)
        if slot is None:
            deadline = Deadline.after(now, self._timeout)
            slot = await wait_for_slot(supervisor, deadline)
        alarm = None
        if self._taken_by is not None:
            alarm = watch(supervisor, slot.worker.name, self._taken_by)
        self._lease = Lease(supervisor, slot, alarm)
        return self._lease

    async def __aexit__(self, *_: object) -> None:
        assert self._lease is not None
        self._lease.end()

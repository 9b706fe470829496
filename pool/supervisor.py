"""Keeps the set of workers: carries out what the ledger's rules ask for.

Whatever happens is written into the ledger within the step in which it
happens; then `settle` asks the rules what is to be done and does it, until
they ask for nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from bridge.messages import Reply
from pool.circuit.guard import guard_of, unguarded
from pool.clock import Alarm, Clock
from pool.config import PoolConfig
from pool.errors import PoolClosed, WorkerStartError
from pool.exchange.codec import Codec
from pool.exchange.inflight import Call
from pool.launch import Launcher
from pool.launch.descriptors import fork_count
from pool.ledger import Fitness, Ledger
from pool.ledger.rules import (
    Action,
    Kill,
    Promote,
    Release,
    Retire,
    Start,
    Validate,
    decide,
    look_again_at,
)
from pool.lifecycle import PoolState, WorkerState
from pool.renewal import Renewal
from pool.sessions import SESSION_TTL, SessionStore
from pool.slots import Slot
from pool.telemetry.chronicle import Chronicle
from pool.telemetry.gaps import Gaps
from pool.telemetry.hub import Hub
from pool.telemetry.tracing import Around, Traced, Tracer, Tracing
from pool.worker.memory import watch_memory
from pool.worker.worker import Worker


class Supervisor:
    """Owns the workers and the task group they live in. `run` is one task from open to closed."""

    def __init__(
        self, config: PoolConfig, launcher: Launcher, random: Random, hub: Hub, codec: Codec
    ) -> None:
        self.config = config
        self.clock = Clock()
        self.ledger: Ledger[Worker] = Ledger(config, random)
        self.hub = hub
        self._calls, self._checkouts = hub.calls, hub.checkouts
        self.codec = codec
        self.chronicle = Chronicle(config, self.clock, hub, launcher.secrets)
        self.counters = self.chronicle.counters
        self.guard = guard_of(config, self.now, self.chronicle)
        self.trace(None)
        self.renewal = Renewal(
            config.pool_name, launcher, self.ledger, self.chronicle, self.now, self.settle
        )
        self.sessions = SessionStore()
        self.secrets = launcher.secrets
        self.launcher = launcher
        self.random = random
        self.loop = asyncio.get_running_loop()
        self.forks = fork_count()
        self._decided: asyncio.Queue[tuple[Callable[[], Coroutine[Any, Any, None]], str]] = (
            asyncio.Queue()
        )
        self._names = 0
        self.next_look: float | None = None
        self._alarm: Alarm | None = None
        self._gaps = Gaps()
        self._has_failed = False
        self._is_settling = False
        self._all_gone = asyncio.Event()

    # Life

    def open(self) -> None:
        """Take work from here on; whoever calls it runs `run` too."""
        self.ledger.open()
        self.chronicle.pool_opened(self.launcher.start_method)
        self.settle()

    async def run(self) -> None:
        """Supervise until told to close; then drain, end every worker and return."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._start_tasks, tasks)
                self._start_chores(tasks)
                await self._all_gone.wait()
                tasks.cancel_scope.cancel()
        finally:
            name = self.config.pool_name
            self.ledger.closed(lambda: PoolClosed(f"{name}: the pool was closed"))
            self.clock.close()
            with anyio.CancelScope(shield=True):
                await self.launcher.aclose()
            self.chronicle.pool_closed()

    async def _start_tasks(self, tasks: TaskGroup) -> None:
        """Start what was decided: a task group cannot be asked from a callback of the loop."""
        while True:
            work, name = await self._decided.get()
            tasks.start_soon(work, name=name)

    def _start_chores(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._every, SESSION_TTL / 60, self._expire_sessions)
        if self.config.ping_interval is not None:
            tasks.start_soon(self._every, self.config.ping_interval, self._ping_idle)
        if self.config.max_memory is not None:
            tasks.start_soon(watch_memory, lambda: self.ledger.roster, self._measured)

    async def _every(self, seconds: float, chore: Callable[[], None]) -> None:
        while True:
            await self.clock.sleep(seconds)
            chore()

    def _ping_idle(self) -> None:
        for worker in self.ledger.roster:
            if worker.is_idle and not worker.unanswered:
                worker.calls.ping()

    def _measured(self, worker: Worker, memory: int) -> None:
        self.ledger.measured(worker, memory, self.now())
        self.settle()

    def _expire_sessions(self) -> None:
        self.sessions.expire(self.now())

    def trace(self, tracer: Tracer | None) -> None:
        """Have the tracer told of calls and of waits from here on; None is nobody.

        `guarding` is what each call is made in, `guarding_many` each batch, `waiting`,
        if it is there, each wait for a slot.
        """
        one = self.guard or unguarded
        many = self.guard.around_many if self.guard else unguarded
        self.guarding: Around = one
        self.guarding_many: Around = many
        self.waiting: Callable[[Traced | None], AbstractContextManager[None]] | None = None
        if tracer is not None:
            tracing = Tracing(self.config.pool_name, tracer)
            self.guarding, self.guarding_many = tracing.around(one), tracing.around(many)
            self.waiting = tracing.waiting

    def resize(self, size: int, overflow: int) -> None:
        """Let so many workers serve from here on."""
        self._gaps.forget()
        self.ledger.resize(size, overflow)
        self.settle()

    # Closing

    def drain(self) -> None:
        """Refuse new work; what waits and runs is finished, then the workers are ended."""
        self.ledger.drain()
        self.settle()

    def close(self) -> None:
        """`drain`, but nobody waits any longer, and leases end after the grace period."""
        name = self.config.pool_name
        self.ledger.close(self.now(), lambda: PoolClosed(f"{name}: the pool is closing"))
        self.settle()

    def terminate(self) -> None:
        """Kill every worker now."""
        name = self.config.pool_name
        self.ledger.terminate(lambda: PoolClosed(f"{name}: the pool was terminated"))
        self.settle()

    @property
    def is_closed(self) -> bool:
        return self.ledger.life.is_closed

    # Decisions

    def now(self) -> float:
        """The pool's clock, which all instants here are of."""
        return self.clock.now()

    def settle(self) -> None:
        """Do what the rules ask for, if anything has changed since they were asked."""
        if not self.ledger.is_unsettled or self._is_settling:
            return
        self._is_settling = True
        try:
            self.ledger.tick(self.now())
            while actions := decide(self.ledger, self.now()):
                for action in actions:
                    self._carry_out(action)
        finally:
            self._is_settling = False
        self.ledger.settled()
        self._settle_again_later()
        self.renewal.look()
        self._see_whether_it_failed()
        if self.ledger.is_over and not self.ledger.roster:
            self._all_gone.set()

    def _settle_again_later(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        when = self.next_look = look_again_at(self.ledger, self.now())
        self._alarm = None if when is None else self.clock.call_at(when, self.look)

    def _see_whether_it_failed(self) -> None:
        has_failed = self.ledger.life.state is PoolState.FAILED
        if has_failed is self._has_failed:
            return
        self._has_failed = has_failed
        if has_failed:
            self.chronicle.pool_failed(self.ledger.restarts.last_cause)
        else:
            self.chronicle.pool_recovered()

    def look(self) -> None:
        """See what time alone has changed."""
        self.ledger.is_unsettled = True
        self.settle()

    def try_to_mend(self) -> None:
        """See whether what keeps the pool from work is over.

        For who keeps work away until it is: without work nobody else would look.
        """
        ledger = self.ledger
        if ledger.life.state is PoolState.FAILED:
            self.look()
        is_unfit = ledger.life.takes_work and ledger.fitness is Fitness.UNFIT
        if is_unfit and self.now() >= ledger.ask_again_at:
            self._carry_out(Validate())

    def _carry_out(self, action: Action[Worker]) -> None:
        match action:
            case Start(stands_in):
                self._start_worker(stands_in=stands_in)
            case Promote(worker):
                self.ledger.put_in_service(worker, self.now())
                self._comes_into_service(worker)
            case Release(worker, reason):
                self.ledger.release(worker, reason, self.now())
            case Retire(worker, reason):
                worker.retire(reason)
            case Kill(worker, reason, what):
                worker.kill(reason, what)
            case Validate():
                self.ledger.validation_begins()
                self._decided.put_nowait((self.renewal.validate, "validate the environment"))

    def _start_worker(self, *, stands_in: bool) -> None:
        self._names += 1
        name = f"{self.config.pool_name}-{self._names}"
        worker = Worker(
            name,
            self.config,
            self.ledger.new_term(),
            self.launcher,
            self.sessions,
            self.clock,
            self,
        )
        self.ledger.add(worker, stands_in=stands_in)
        self.chronicle.worker_starts()
        self._decided.put_nowait((partial(self._supervise, worker), name))

    async def _supervise(self, worker: Worker) -> None:
        try:
            await worker.run()
        finally:
            self._worker_exited(worker)

    # Slots and calls

    def end_checkout(self, slot: Slot[Worker], *, was_alone: bool = False) -> None:
        """Take the slot of a checkout back; it was for one call alone, or for any number."""
        checkouts = self._checkouts
        if checkouts.are_wanted and (checkouts.one_by_one or not was_alone):
            self.chronicle.returned(slot, self.clock.now(), was_alone=was_alone)
        self.give_back(slot)

    def give_back(self, slot: Slot[Worker]) -> None:
        """Take a slot from its one owner. One whose call was given up has none."""
        self.ledger.give_back(slot, self.clock.now())
        if self.ledger.is_unsettled:
            self.settle()

    # What workers report (the Owner protocol)

    def worker_ready(self, worker: Worker) -> None:
        self.chronicle.worker_ready(worker)
        if worker.due == "reload" and worker.generation == self.launcher.generation:
            worker.due = ""  # it was launched after all from what is new
        self.ledger.ready(worker, self.now())
        if worker.in_service:
            self._comes_into_service(worker)
        self.settle()

    def _comes_into_service(self, worker: Worker) -> None:
        gap = self._gaps.filled(self.now())
        if gap is not None:
            self.chronicle.worker_replaced(worker, gap)

    def worker_leaves(self, worker: Worker) -> None:
        is_lost = worker.state is WorkerState.KILLING and not worker.released
        if is_lost and worker.in_service and not self.ledger.life.is_draining:
            self._gaps.lost(worker.left_at)
        self.ledger.leaves(worker)
        self.settle()

    def call_answered(self, worker: Worker, call: Call, reply: Reply, now: float) -> None:
        # A caller who was cancelled in the same moment has not come to say so.
        outcome = "cancelled" if call.is_done else "ok" if reply.success else "error"
        self._count(call, outcome, reply)
        self.ledger.answered(worker, call.prepared.size or 1)
        call.seconds = now - call.sent_at
        if call.is_typical:
            self.ledger.times.called(call.prepared.command, call.seconds)
        if self._calls.are_wanted:
            self.chronicle.call_finished(worker, call, reply, outcome, now)
        if self.ledger.is_unsettled:
            self.settle()

    def call_ended(self, worker: Worker, call: Call, outcome: str) -> None:
        self._count(call, outcome, None)
        if self._calls.are_wanted:
            self.chronicle.call_finished(worker, call, None, outcome, self.now())
        if call.given_up:
            self.chronicle.call_abandoned(worker, call, outcome)
            self.ledger.abandoned()
            self.settle()

    def _count(self, call: Call, outcome: str, reply: Reply | None) -> None:
        if call.prepared.size is None:
            self.counters.calls[outcome] += 1
        else:
            call.counts = call.counted(outcome, reply)
            self.counters.calls.update(call.counts)

    def late_reply(self, worker: Worker, call: Call | None) -> None:
        self.chronicle.reply_late(worker)
        if call is not None and call.slot is not None:
            self.ledger.late_reply(call.slot, self.now())
            self.settle()

    def worker_stuck(self, worker: Worker) -> None:
        self.ledger.stuck(worker, self.now())
        self.settle()

    def ping_answered(self, worker: Worker, seconds: float) -> None:
        self.chronicle.ping_answered(worker, seconds)

    def _worker_exited(self, worker: Worker) -> None:
        """A worker is gone for good: learn from it, then see what is missing."""
        failed_start = self.ledger.exited(worker, worker.error, self.now())
        self.chronicle.worker_exited(worker, failed_start=failed_start)
        self.renewal.worker_exited(worker)
        self.settle()

    def refusal(self) -> WorkerStartError:
        """Why work is refused in a crash loop."""
        return self.ledger.refusal(self.now())

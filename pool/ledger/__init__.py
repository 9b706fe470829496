"""The pool as a book: who is there, who waits, what has happened. Pure.

Events and a time go in; `pool.ledger.rules` reads the book and says what is to
be done. Nothing here knows of processes, tasks or timers. Whoever keeps the
book asks the rules again whenever `is_unsettled`, and at the instant they name.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Generic, Protocol, TypeVar

from pool.capacity import Counts, Limits, wanted
from pool.checkout import CheckoutQueue, Ticket
from pool.config import PoolConfig
from pool.errors import PoolError, WorkerError, WorkerStartError
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.ledger.roster import Roster
from pool.ledger.service import ServiceTimes
from pool.lifecycle import POOL, PoolEvent, PoolState, SlotEvent, SlotState, advance
from pool.restarts import EARLY_LOSS, RestartPolicy
from pool.slots import Slot

W = TypeVar("W", bound=Member)

ENVIRONMENT_RETRY = 5.0
"""Seconds between validations that only `min_ready` asks for; a checkout asks at once."""


class Fitness(Enum):
    """What is known of the environment."""

    UNKNOWN = "unknown"
    BEING_ASKED = "being asked"
    FIT = "fit"
    UNFIT = "unfit"


class ReadyWait(Protocol):
    """Somebody who waits until `count` workers serve. It ends exactly once."""

    @property
    def count(self) -> int: ...

    def grant(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Ledger(Generic[W]):
    """All that the decisions are made from. Every method is one synchronous step."""

    def __init__(self, config: PoolConfig, random: Random) -> None:
        self.config = config
        self.limits = Limits(config.size, config.overflow, config.starts_at_once)
        self.state = PoolState.NEW
        self.roster: Roster[W] = Roster()
        self.times = ServiceTimes()
        self.restarts = RestartPolicy(config.max_restarts, config.restart_window, random)
        self.fitness = Fitness.UNKNOWN
        self.ask_again_at = 0.0
        self.keep = 0
        self.calls_under_way = 0
        self.queue_is_shut = False
        self.hurry_at: float | None = None
        self.is_hurried = False
        self.is_terminated = False
        self.is_unsettled = False
        self._queue: CheckoutQueue[Slot[W]] = CheckoutQueue(config.max_waiting)
        self._ready_waits: dict[ReadyWait, None] = {}
        self._term = Term(config.max_calls, config.max_age, config.max_memory)
        self._random = random
        self._is_at_limit = False

    # What is so

    @property
    def waiting(self) -> int:
        """Checkouts in the queue."""
        return self._queue.waiting

    @property
    def is_asked(self) -> bool:
        """Whether anybody waits for anything."""
        return bool(self.waiting or self._ready_waits)

    @property
    def takes_work(self) -> bool:
        return self.state is PoolState.OPEN

    @property
    def may_grow(self) -> bool:
        """Whether workers may still be added: neither draining nor closed."""
        return self.state in (PoolState.OPEN, PoolState.FAILED)

    @property
    def serves_the_queue(self) -> bool:
        """Whether a call that was admitted once may wait (again)."""
        draining = self.state is PoolState.DRAINING and not self.queue_is_shut
        return self.takes_work or (draining and not self.is_over)

    @property
    def is_out_of_work(self) -> bool:
        """Whether no lease is out, no call is under way and nobody waits."""
        at_work = self.waiting or self.calls_under_way or any(w.is_busy for w in self.roster)
        return not at_work

    @property
    def is_over(self) -> bool:
        """Whether a pool that drains is to end its workers now."""
        draining = self.state is PoolState.DRAINING
        return draining and (self.is_hurried or self.is_out_of_work)

    def counts(self) -> Counts:
        """What there is, as the decision about starts sees it."""
        if self.state is PoolState.DRAINING:
            return self.roster.counts(self.waiting, keep=0, floor=0, spares=0)
        floor = max(self.config.min_ready, *(wait.count for wait in self._ready_waits), 0)
        return self.roster.counts(self.waiting, self.keep, floor, self.config.spares)

    def has_room(self) -> bool:
        """Whether one more may wait: those for whom a worker can still be started do not count."""
        if not self._queue.is_full:
            return True
        possible = self.limits.size + self.limits.overflow - self.counts().serving
        return self.waiting < (self.config.max_waiting or 0) + possible

    def wait_estimate(self) -> float:
        """Seconds until a checkout that joined the queue now would be served, roughly."""
        counts = self.counts()
        slots = (counts.serving + counts.starting) * self.config.concurrency
        return self.times.wait(self.waiting, slots)

    def can_serve_by(self, deadline: float | None, command: str | None, now: float) -> bool:
        """Whether who joined the queue now could have a slot, and its call's result, in time."""
        if deadline is None or self.times.mean_held is None:
            return True
        return now + self.wait_estimate() + self.times.allowance(command) <= deadline

    # Opening and closing

    def open(self) -> None:
        """Take work from here on."""
        self.state = advance(POOL, self.state, PoolEvent.OPEN)
        self.is_unsettled = True

    def drain(self) -> None:
        """Refuse new work; what waits and runs is finished, then the workers are ended."""
        if self.state is not PoolState.DRAINING:
            self.state = advance(POOL, self.state, PoolEvent.DRAIN)
        self.is_unsettled = True

    def close(self, now: float, make_error: Callable[[], Exception]) -> None:
        """`drain`, but nobody waits any longer, and leases end after the grace period."""
        self.drain()
        self.queue_is_shut = True
        self.fail_waiting(make_error)
        if self.hurry_at is None:
            self.hurry_at = now + self.config.grace_period

    def terminate(self, make_error: Callable[[], Exception]) -> None:
        """`drain`, but neither who waits nor what runs is waited for."""
        self.drain()
        self.queue_is_shut = self.is_hurried = self.is_terminated = True
        self.fail_waiting(make_error)

    def closed(self, make_error: Callable[[], Exception]) -> None:
        """The end: no worker is left."""
        if self.state is not PoolState.DRAINING:
            self.drain()
        self.state = advance(POOL, self.state, PoolEvent.CLOSE)
        self.fail_waiting(make_error)

    # Time

    def tick(self, now: float) -> None:
        """Take note of what time alone has changed."""
        if self.hurry_at is not None and now >= self.hurry_at:
            self.is_hurried = self.is_unsettled = True
        if self.state is PoolState.FAILED and now >= self.restarts.not_before:
            # The refusal of work ends, for one start to show how things are.
            self.state = advance(POOL, self.state, PoolEvent.PROBE)
            self.is_unsettled = True
        proof = self.proof_due_at()
        if proof is not None and now >= proof:
            self.restarts.succeeded()
            self.is_unsettled = True
        for worker in self.roster:
            if worker.term.age is not None and now >= worker.launched_at + worker.term.age:
                self.make_due(worker, "recycled_age")

    def proof_due_at(self) -> float | None:
        """When a worker that started after the last failed start will have proved itself."""
        failed_at = self.restarts.failed_at
        if failed_at is None:
            return None
        later = (
            worker.ready_at
            for worker in self.roster
            if worker.is_ready and worker.ready_at is not None and worker.ready_at >= failed_at
        )
        first = min(later, default=None)
        return None if first is None else first + EARLY_LOSS

    # Slots

    def take_idle(self, now: float) -> Slot[W] | None:
        """Lend the slot that was given back last; None if there is no idle one."""
        slot = self._queue.take()
        if slot is not None:
            _lend(slot, now)
        return slot

    def give_back(self, slot: Slot[W], now: float) -> None:
        """End of a checkout, by its one owner. A slot whose call was given up has none."""
        if slot.state is SlotState.BUSY:
            slot.advance(SlotEvent.GIVE_BACK)
            self.times.held(now - slot.lent_at)
            self.offer(slot, now)
        if self.state is PoolState.DRAINING:
            self.is_unsettled = True

    def offer(self, slot: Slot[W], now: float) -> None:
        """Give a free slot to who waits longest, or let it idle, if its worker serves."""
        worker = slot.worker
        if worker.released:
            self.is_unsettled = True
        elif worker.is_ready and worker.in_service:
            if self._queue.offer(slot, now) is None:
                worker.last_active = now
            else:
                _lend(slot, now)

    def put_in_service(self, worker: W, now: float) -> None:
        """Lend its slots from here on."""
        worker.in_service = True
        worker.stands_in = False
        for slot in worker.slots:
            self.offer(slot, now)
        serving = self.counts().serving
        self.keep = max(self.keep, min(self.limits.size, serving))
        self._tell_ready_waits(serving)
        self.is_unsettled = True

    # Waiting

    def join(self, ticket: Ticket[Slot[W]], *, in_front: bool = False) -> None:
        """Wait for a slot."""
        self._queue.join(ticket, in_front=in_front)
        self.is_unsettled |= not self._is_at_limit

    def leave(self, ticket: Ticket[Slot[W]]) -> bool:
        """Somebody stops waiting; False if the wait had ended already."""
        self.is_unsettled |= self.state is PoolState.DRAINING
        return self._queue.leave(ticket)

    def join_ready(self, wait: ReadyWait) -> None:
        """Wait until as many workers serve as it says."""
        if self.counts().serving >= wait.count:
            wait.grant()
            return
        self._ready_waits[wait] = None
        self.is_unsettled = True

    def leave_ready(self, wait: ReadyWait) -> None:
        """Wait no longer, if it still did."""
        self._ready_waits.pop(wait, None)

    def fail_waiting(self, make_error: Callable[[], Exception]) -> None:
        """End all waiting, each with an error of its own."""
        self._queue.fail_all(make_error)
        ready_waits, self._ready_waits = self._ready_waits, {}
        for wait in ready_waits:
            wait.fail(make_error())

    def _tell_ready_waits(self, serving: int) -> None:
        for wait in list(self._ready_waits):
            if serving >= wait.count:
                del self._ready_waits[wait]
                wait.grant()

    # Calls

    def call_begins(self) -> None:
        """A call has been admitted that may yet wait, run, and be made again."""
        self.calls_under_way += 1

    def call_ends(self) -> None:
        """That call has its result or its error."""
        self.calls_under_way -= 1
        self.is_unsettled |= self.state is PoolState.DRAINING

    def answered(self, worker: W) -> None:
        """A worker has answered a call for which somebody waited."""
        worker.finished_calls += 1
        if worker.finished_calls == 1:
            self.restarts.succeeded()
            self.is_unsettled = True
        if worker.term.calls is not None and worker.finished_calls >= worker.term.calls:
            self.make_due(worker, "recycled_calls")

    def abandoned(self) -> None:
        """A call was given up; its slot is free again when the late reply comes."""
        self.is_unsettled = True

    def late_reply(self, slot: Slot[W], now: float) -> None:
        """The slot of a call that was given up is free again."""
        slot.advance(SlotEvent.LATE_REPLY)
        self.offer(slot, now)
        self._tell_ready_waits(self.counts().serving)
        self.is_unsettled = True

    # Workers

    def term(self) -> Term:
        """The limits of a new worker, jittered."""
        return self._term.jittered(self._random)

    def add(self, worker: W, *, stands_in: bool = False) -> None:
        """A worker is on its way."""
        worker.stands_in = stands_in
        self.roster.add(worker)
        self.is_unsettled = True

    def ready(self, worker: W, now: float) -> None:
        """A worker has shown that it can take calls: give it its part."""
        if worker.stands_in:
            self._take_over(worker, now)
        elif not self._is_surplus():
            self.put_in_service(worker, now)
        self.is_unsettled = True

    def _is_surplus(self) -> bool:
        """Whether a worker that is ready now is to be held back, as a spare."""
        counts = self.counts()
        enough = counts.serving >= wanted(self.limits, counts)
        return enough and counts.spare <= counts.reserve

    def _take_over(self, stand_in: W, now: float) -> None:
        """In one step, so that neither too many nor too few are ever counted."""
        old = next(iter(self.due()), None)
        stand_in.stands_in = False
        if old is None:
            return  # whom it was for was lost, and is replaced as any lost worker is
        self.release(old, old.due, now)
        if old.in_service:
            self.put_in_service(stand_in, now)

    def due(self) -> list[W]:
        """The workers that are to be replaced and still serve, the oldest first."""
        return [worker for worker in self.roster if worker.due and _can_go(worker)]

    def make_due(self, worker: W, reason: str) -> None:
        """Replace the worker when another is ready."""
        if not worker.due:
            worker.due = reason
            self.is_unsettled = True

    def pardon(self, reason: str) -> None:
        """Those who are due for this reason and have not been released stay."""
        for worker in self.roster:
            if worker.due == reason:
                worker.due = ""
        self.is_unsettled = True

    def measured(self, worker: W, memory: int, now: float) -> None:
        """A worker has so many bytes of its own."""
        reason = worker.term.reason(worker.finished_calls, now - worker.launched_at, memory)
        if reason:
            self.make_due(worker, reason)

    def release(self, worker: W, reason: str, now: float) -> None:
        """Have it finish its calls, then exit; nobody gets it any more."""
        worker.released, worker.released_at = reason, now
        self.leaves(worker)

    def leaves(self, worker: W) -> None:
        """It takes no new calls from here on."""
        for slot in worker.slots:
            self._queue.withdraw(slot)
        if worker.reason == "idle":
            self.keep = min(self.keep, self.counts().serving)
        self.is_unsettled = True

    def exited(self, worker: W, error: WorkerError | None, now: float) -> bool:
        """A worker is gone, of `error` unless it was asked to; True if that is a failed start."""
        self.roster.remove(worker)
        self.is_unsettled = True
        if error is None:
            return False
        if not worker.failed_to_start:
            self.restarts.succeeded()
            return False
        self.restarts.failed(now, error)
        self._fail_if_looping(now)
        return True

    def _fail_if_looping(self, now: float) -> None:
        """Refuse work, in a crash loop, as soon as no worker is left that could do it."""
        counts = self.counts()
        if not self.restarts.in_crash_loop or counts.serving or counts.starting:
            return
        if self.state is PoolState.OPEN:
            self.state = advance(POOL, self.state, PoolEvent.CRASH_LOOP)
        self.fail_waiting(lambda: self.refusal(now))

    def refusal(self, now: float) -> WorkerStartError:
        """Why work is refused in a crash loop."""
        return self.restarts.refusal(self.config.pool_name, now)

    # The environment

    def validation_begins(self) -> None:
        """It is asked about, once for all who need to know."""
        self.fitness = Fitness.BEING_ASKED

    def validation_failed(self, make_error: Callable[[], PoolError], now: float) -> None:
        """It cannot run the bridge; it is asked about again at the next need."""
        if self.fitness is Fitness.FIT:
            return  # what began later has already shown that it can
        self.fitness = Fitness.UNFIT
        self.ask_again_at = now + ENVIRONMENT_RETRY
        self.fail_waiting(make_error)
        self.is_unsettled = True

    def validated(self) -> None:
        """It can run the bridge."""
        self.fitness = Fitness.FIT
        self.is_unsettled = True

    def renewed(self, *, outdated: Callable[[W], bool]) -> None:
        """Code and environment are fresh: whoever is `outdated` is due, failures are history."""
        self.restarts.succeeded()
        if self.state is PoolState.FAILED:
            self.state = advance(POOL, self.state, PoolEvent.PROBE)
        self.validated()
        for worker in self.roster:
            if worker.is_there and outdated(worker):
                self.make_due(worker, "reload")

    # Keeping the book

    def settled(self) -> None:
        """All that the rules ask for has been done."""
        self.is_unsettled = False
        counts = self.counts()
        there = counts.serving + counts.starting
        most = self.limits.size + self.limits.overflow
        self._is_at_limit = not counts.spare and there >= most


def _can_go(worker: Member) -> bool:
    return worker.is_ready and not worker.released and not worker.has_abandoned


def _lend(slot: Slot[W], now: float) -> None:
    slot.advance(SlotEvent.LEND)
    slot.lent_at = now

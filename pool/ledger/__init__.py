"""The pool as a book: who is there, who waits, what has happened. Pure.

Events and a time go in; `pool.ledger.rules` reads the book and says what is to
be done. Nothing here knows of processes, tasks or timers. Whoever keeps the
book asks the rules again whenever `is_unsettled`, and at the instant they name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from itertools import count
from random import Random
from typing import Generic, TypeVar

from pool.capacity import Counts, Limits, is_at_limit, wanted
from pool.checkout import Ticket
from pool.config import PoolConfig
from pool.errors import PoolError, WorkerError, WorkerStartError
from pool.ledger.life import Life
from pool.ledger.lobby import Lobby, ReadyWait
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.ledger.roster import Roster
from pool.ledger.service import MARGIN, ServiceTimes
from pool.lifecycle import SlotEvent, SlotState, WorkerState
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


class Ledger(Generic[W]):
    """All that the decisions are made from. Every method is one synchronous step.

    `keep` counts the workers that were in service and were not dismissed, lost
    ones included: they are replaced unasked. `calls_under_way` counts those that
    were admitted and may yet wait, run and be made again; who makes one adds it.
    """

    def __init__(self, config: PoolConfig, random: Random) -> None:
        self.config = config
        self.limits = Limits(
            config.size, config.overflow, config.starts_at_once, config.concurrency
        )
        self.life = Life()
        self.lobby: Lobby[W] = Lobby(config.max_waiting)
        self.roster: Roster[W] = Roster()
        self.times = ServiceTimes()
        self.restarts = RestartPolicy(config.max_restarts, config.restart_window, random)
        self.fitness = Fitness.UNKNOWN
        self.ask_again_at = 0.0
        self.keep = 0
        self.takes_batches = False
        self.is_unsettled = False
        self.calls_under_way = 0
        # As of the last time that all was settled: who waits asks for these.
        self._is_at_limit = False
        self._slots_there = 0
        self._term = Term(config.max_calls, config.max_age, config.max_memory)
        self._random = random

    # What is so

    @property
    def serves_the_queue(self) -> bool:
        """Whether a call that was admitted once may wait (again)."""
        draining = self.life.is_draining and not self.life.queue_is_shut
        return self.life.takes_work or (draining and not self.is_over)

    @property
    def is_over(self) -> bool:
        """Whether a pool that drains is to end its workers now: all work is done, or hurried."""
        return self.life.is_draining and (self.life.is_hurried or self._is_out_of_work)

    @property
    def _is_out_of_work(self) -> bool:
        if self.lobby.waiting or self.calls_under_way:
            return False
        return not any(worker.is_busy for worker in self.roster)

    def counts(self) -> Counts:
        """What there is, as the decision about starts sees it."""
        waiting = self.lobby.waiting
        if self.life.is_draining:
            return self.roster.counts(waiting, keep=0, floor=0, spares=0)
        floor = max(self.config.min_ready, self.lobby.ready_wanted)
        return self.roster.counts(waiting, self.keep, floor, self.config.spares)

    def has_room(self) -> bool:
        """Whether one more may wait: those for whom a worker can still be started do not count."""
        if not self.lobby.is_full:
            return True
        return self.lobby.waiting < (self.config.max_waiting or 0) + self._slots_to_come()

    def _slots_to_come(self) -> int:
        """Slots of workers that are on their way, or may be started for those who wait."""
        possible = self.limits.size + self.limits.overflow - self.counts().serving
        return possible * self.limits.concurrency

    def wait_estimate(self) -> float:
        """Seconds until a checkout that joined the queue now would be served, roughly."""
        return self.times.wait(self.lobby.waiting, self._slots_there)

    def can_serve_by(self, deadline: float | None, now: float) -> bool:
        """Whether who joined the queue now would have a slot in time, as far as is known.

        How long a start takes is not: without those who wait for it, no worker would come.
        """
        if deadline is None or self.times.mean_held is None:
            return True
        if now + MARGIN * self.wait_estimate() <= deadline:
            return True
        return self.lobby.waiting < self._slots_to_come()

    # Opening, resizing and closing

    def open(self) -> None:
        """Take work from here on."""
        self.life.open()
        self.is_unsettled = True

    def resize(self, size: int, overflow: int) -> None:
        """Let so many workers serve from here on; who is too many finishes its calls and goes."""
        self.limits = replace(self.limits, size=size, overflow=overflow)
        self.keep = min(self.keep, size)
        self._tell_serving()
        self.is_unsettled = True

    def drain(self) -> None:
        """Refuse new work; what waits and runs is finished, then the workers are ended."""
        self.life.drain()
        self.is_unsettled = True

    def close(self, now: float, make_error: Callable[[], Exception]) -> None:
        """`drain`, but nobody waits any longer, and leases end after the grace period."""
        self.life.shut(now + self.config.grace_period)
        self.lobby.fail_all(make_error)
        self.is_unsettled = True

    def terminate(self, make_error: Callable[[], Exception]) -> None:
        """`drain`, but neither who waits nor what runs is waited for."""
        self.life.terminate()
        self.lobby.fail_all(make_error)
        self.is_unsettled = True

    def closed(self, make_error: Callable[[], Exception]) -> None:
        """The end: no worker is left."""
        self.life.close()
        self.lobby.fail_all(make_error)

    # Time

    def tick(self, now: float) -> None:
        """Take note of what time alone has changed."""
        self.life.tick(now)
        if now >= self.restarts.not_before:
            self.life.probe()
        proof = self.proof_due_at()
        if proof is not None and now >= proof:
            self.restarts.succeeded()
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

    # Checkouts and calls

    def join(self, ticket: Ticket[Slot[W]], *, in_front: bool = False) -> None:
        """Wait for a slot."""
        self.lobby.join(ticket, in_front=in_front)
        self.is_unsettled |= not self._is_at_limit

    def leave(self, ticket: Ticket[Slot[W]]) -> bool:
        """Somebody stops waiting; False if the wait had ended already."""
        self.is_unsettled |= self.life.is_draining
        return self.lobby.leave(ticket)

    def give_back(self, slot: Slot[W], now: float) -> None:
        """End of a checkout, by its one owner. A slot whose call was given up has none."""
        if slot.state is SlotState.BUSY:
            slot.advance(SlotEvent.GIVE_BACK)
            self.times.held(now - slot.lent_at)
            self._offer(slot, now)
        if self.life.is_draining:
            self.is_unsettled = True

    def _offer(self, slot: Slot[W], now: float) -> None:
        worker = slot.worker
        if worker.released:
            self.is_unsettled = True
        elif worker.state is WorkerState.READY:
            self.lobby.offer(slot, now)

    def call_ends(self) -> None:
        """A call that was under way has its result or its error."""
        self.calls_under_way -= 1
        if self.life.is_draining:
            self.is_unsettled = True

    def answered(self, worker: W, calls: int = 1) -> None:
        """A worker has answered a call for which somebody waited, or so many in one frame."""
        worker.finished_calls += calls
        if worker.finished_calls == calls:
            self.restarts.succeeded()
            self.is_unsettled = True
        if worker.term.calls is not None and worker.finished_calls >= worker.term.calls:
            self.make_due(worker, "recycled_calls")

    def abandoned(self) -> None:
        """A call was given up; its slot is free again when the late reply comes."""
        self.is_unsettled = True

    def stuck(self, worker: W, now: float) -> None:
        """It has not ended a call that was given up, in all the time it was left for that."""
        worker.is_stuck = True
        if worker.is_ready and not worker.released:
            self.release(worker, "timeout", now)
        self.is_unsettled = True

    def late_reply(self, slot: Slot[W], now: float) -> None:
        """The slot of a call that was given up is free again."""
        slot.advance(SlotEvent.LATE_REPLY)
        self._offer(slot, now)
        self._tell_serving()
        self.is_unsettled = True

    def join_ready(self, wait: ReadyWait) -> None:
        """Wait until as many workers serve as it says."""
        self.lobby.join_ready(wait)
        self._tell_serving()
        self.is_unsettled = True

    def _tell_serving(self) -> None:
        self.lobby.tell_serving(self.counts().serving, self.limits.size)

    # Workers

    def new_term(self) -> Term:
        """The limits of a new worker, jittered."""
        return self._term.jittered(self._random)

    def add(self, worker: W, *, stands_in: bool) -> None:
        """A worker is on its way."""
        worker.stands_in = stands_in
        taken = {other.seat for other in self.roster}
        worker.seat = next(seat for seat in count() if seat not in taken)
        self.roster.add(worker)
        self.is_unsettled = True

    def ready(self, worker: W, now: float) -> None:
        """A worker has shown that it can take calls: give it its part."""
        # What one cannot do the others cannot either: they run the same bridge.
        self.limits = replace(self.limits, concurrency=len(worker.slots))
        self.takes_batches = worker.takes_batches
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
        old = next(iter(self.roster.due()), None)
        stand_in.stands_in = False
        if old is None:
            return  # whom it was for was lost, and is replaced as any lost worker is
        self.release(old, old.due, now)
        if old.in_service:
            self.put_in_service(stand_in, now)

    def put_in_service(self, worker: W, now: float) -> None:
        """Lend its slots from here on."""
        worker.in_service = True
        for slot in worker.slots:
            self._offer(slot, now)
        self.keep = max(self.keep, min(self.limits.size, self.counts().serving))
        self._tell_serving()
        self.is_unsettled = True

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
        self.lobby.withdraw(worker)
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
        if self.restarts.in_crash_loop and not counts.serving and not counts.starting:
            self.life.fail()
            self.lobby.fail_all(lambda: self.refusal(now))

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
        self.lobby.fail_all(make_error)
        self.is_unsettled = True

    def validated(self) -> None:
        """It can run the bridge."""
        self.fitness = Fitness.FIT
        self.is_unsettled = True

    def renewed(self, *, outdated: Callable[[W], bool]) -> None:
        """Code and environment are fresh: whoever is `outdated` is due, failures are history."""
        self.restarts.succeeded()
        self.life.probe()
        self.validated()
        for worker in self.roster:
            if worker.is_there and outdated(worker):
                self.make_due(worker, "reload")

    # Keeping the book

    def settled(self) -> None:
        """All that the rules ask for has been done."""
        self.is_unsettled = False
        counts = self.counts()
        self._is_at_limit = is_at_limit(self.limits, counts)
        self._slots_there = counts.slots + counts.starting * self.limits.concurrency

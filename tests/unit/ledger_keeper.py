"""Keeps a ledger as the supervisor does, with workers that are only their entries in it."""

from __future__ import annotations

from random import Random
from typing import Any

from pool.config import PoolConfig
from pool.errors import PoolClosed, WorkerStartError
from pool.ledger import Ledger
from pool.ledger.members import Member
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
from pool.lifecycle import PoolState, SlotEvent, WorkerEvent, WorkerState
from pool.slots import Slot

BEGIN = 1_000.0


class Ticket:
    """A checkout that waits, waited, or never had to. It may end only once."""

    since = 0.0

    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline
        self.slot: Slot[Member] | None = None
        self.error: Exception | None = None
        self.left = False

    @property
    def has_ended(self) -> bool:
        return self.slot is not None or self.error is not None or self.left

    def grant(self, slot: Slot[Member]) -> bool:
        assert not self.has_ended
        self.slot = slot
        return True

    def expire(self) -> None:
        self.fail(TimeoutError())

    def fail(self, error: Exception) -> None:
        assert not self.has_ended
        self.error = error


class ReadyWait:
    """Somebody who waits for workers to be ready."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.has_ended = False

    def grant(self) -> None:
        assert not self.has_ended
        self.has_ended = True

    def fail(self, error: Exception) -> None:
        self.grant()


class Keeper:
    """The synchronous half of a supervisor. Whoever drives it plays processes and callers."""

    def __init__(self, config: PoolConfig, seed: int = 0) -> None:
        self.config = config
        self.ledger: Ledger[Member] = Ledger(config, Random(seed))
        self.now = BEGIN
        self.started = 0
        self.validating = False
        self.waiting: list[Ticket] = []
        self.leases: list[Slot[Member]] = []
        self.abandoned: list[Slot[Member]] = []
        self.done: list[Action[Member]] = []
        self.ledger.open()
        self.settle()

    # Keeping the book

    def settle(self) -> None:
        if self.ledger.is_unsettled:
            self.ledger.tick(self.now)
            for _ in range(1_000):
                actions = decide(self.ledger, self.now)
                if not actions:
                    break
                for action in actions:
                    self._carry_out(action)
            else:
                raise AssertionError(f"the rules never come to an end: {actions}")
            self.ledger.settled()
        self._collect()

    def _carry_out(self, action: Action[Member]) -> None:
        self.done.append(action)
        match action:
            case Start(stands_in):
                self.started += 1
                term = self.ledger.new_term()
                worker = Member(f"w{self.started}", self.config.concurrency, term, self.now)
                self.ledger.add(worker, stands_in=stands_in)
            case Promote(worker):
                self.ledger.put_in_service(worker, self.now)
            case Release(worker, reason):
                self.ledger.release(worker, reason, self.now)
            case Retire(worker, reason):
                assert worker.is_idle
                self._leave(worker, WorkerEvent.RETIRE, reason)
            case Kill(worker, reason):
                self._leave(worker, WorkerEvent.KILL, reason)
            case Validate():
                assert not self.validating, "two validations at once"
                self.validating = True
                self.ledger.validation_begins()

    def _leave(self, worker: Member, event: WorkerEvent, reason: str) -> None:
        worker.leave(event, reason, self.now)
        self.ledger.leaves(worker)

    def what_is_done(self) -> list[Action[Member]]:
        """All that was done since this was asked last."""
        done, self.done = self.done, []
        return done

    def _collect(self) -> None:
        """Whoever was given a slot has it now."""
        self.leases += [ticket.slot for ticket in self.waiting if ticket.slot is not None]
        self.waiting = [ticket for ticket in self.waiting if not ticket.has_ended]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, with a look at every instant that anybody asked for."""
        end = self.now + seconds
        while True:
            instants = [look_again_at(self.ledger, self.now)]
            instants += [ticket.deadline for ticket in self.waiting]
            due = min((at for at in instants if at is not None and at <= end), default=None)
            if due is None:
                break
            assert due > self.now or any(t.deadline == due for t in self.waiting)
            self.now = due
            self._ring()
        self.now = end

    def _ring(self) -> None:
        for ticket in list(self.waiting):
            late = ticket.deadline is not None and ticket.deadline <= self.now
            if late and self.ledger.leave(ticket):
                ticket.expire()
        self.ledger.is_unsettled = True
        self.settle()

    # Callers

    def checkout(self, timeout: float | None) -> Ticket | None:
        """Ask for a slot; None if refused at the door."""
        ticket = Ticket(None if timeout is None else self.now + timeout)
        if self.ledger.life.state is PoolState.FAILED:
            self._ring()  # the cool-down may be over
        if not self.ledger.life.takes_work:
            return None
        slot = self.ledger.lobby.take_idle(self.now)
        if slot is not None:
            ticket.slot = slot
            self.leases.append(slot)
            return ticket
        allowed = self.ledger.can_serve_by(ticket.deadline, self.now)
        if not self.ledger.has_room() or not allowed:
            return None
        self.ledger.join(ticket)
        self.waiting.append(ticket)
        self.settle()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        assert self.ledger.leave(ticket)
        ticket.left = True
        self.settle()

    def give_back(self, slot: Slot[Member]) -> None:
        self.leases.remove(slot)
        self.ledger.give_back(slot, self.now)
        self.settle()

    def answer(self, slot: Slot[Member], calls: int = 1) -> None:
        self.ledger.answered(slot.worker, calls)
        self.ledger.times.called("work", 0.1)
        self.settle()

    def abandon(self, slot: Slot[Member]) -> None:
        self.leases.remove(slot)
        self.abandoned.append(slot)
        slot.advance(SlotEvent.ABANDON)
        self.ledger.abandoned()
        self.settle()

    # Workers

    def ready(self, worker: Member, *, one_at_a_time: bool = False) -> None:
        if one_at_a_time and len(worker.slots) > 1:
            worker.take_one_at_a_time()
        worker.handshaken(self.now)
        self.ledger.ready(worker, self.now)
        self.settle()

    def lose(self, worker: Member, reason: str) -> None:
        """End of file, garbage or a kill; its process is still to be reaped."""
        self._leave(worker, WorkerEvent.KILL, reason)
        self.settle()

    def exit(self, worker: Member) -> None:
        """Its process is gone, and whoever had a call on it is told."""
        self.leases = [slot for slot in self.leases if slot.worker is not worker]
        self.abandoned = [slot for slot in self.abandoned if slot.worker is not worker]
        worker.exited()
        worker.reason = worker.reason or "crash"
        error = None
        if worker.reason in ("crash", "protocol", "start", "timeout"):
            error = WorkerStartError("gone", worker=worker.name)
        self.ledger.exited(worker, error, self.now)
        self.settle()

    def late_reply(self, slot: Slot[Member]) -> None:
        self.abandoned.remove(slot)
        self.ledger.late_reply(slot, self.now)
        self.settle()

    def stuck(self, worker: Member) -> None:
        """A call that was given up is unanswered after all the time it was left."""
        self.ledger.stuck(worker, self.now)
        self.settle()

    def validated(self, *, fit: bool) -> None:
        self.validating = False
        if fit:
            self.ledger.validated()
        else:
            self.ledger.validation_failed(lambda: PoolClosed("unfit"), self.now)
        self.settle()

    def workers(self, *states: WorkerState) -> list[Member]:
        """All who are not gone, or those in these states; the oldest first."""
        return [w for w in self.ledger.roster if not states or w.state in states]

    # The end

    def close(self) -> None:
        self.ledger.close(self.now, lambda: PoolClosed("closed"))
        self.settle()


def grown(workers: int, **settings: Any) -> Keeper:
    """A keeper with so many workers in service, all spares too, and each has done its work."""
    keeper = Keeper(PoolConfig(bridge="b", **{"start_concurrency": 8, **settings}))
    keeper.ledger.validated()
    keeper.settle()
    for _ in range(workers * keeper.config.concurrency):
        keeper.checkout(None)
    while starting := keeper.workers(WorkerState.STARTING):
        keeper.ready(starting[0])
    for slot in list(keeper.leases):
        keeper.answer(slot)
        keeper.give_back(slot)
    assert keeper.ledger.counts().serving == workers
    keeper.what_is_done()
    return keeper


def lend(keeper: Keeper) -> Slot[Member]:
    """The slot of a checkout that need not wait."""
    ticket = keeper.checkout(None)
    assert ticket is not None
    assert ticket.slot is not None
    return ticket.slot


def waits(keeper: Keeper) -> Ticket:
    """A checkout that has to wait."""
    ticket = keeper.checkout(None)
    assert ticket is not None
    assert not ticket.has_ended
    return ticket

"""What holds of a pool at every moment between two turns of the loop."""

from __future__ import annotations

from pool.exchange.feed import Feed
from pool.exchange.inflight import Call
from pool.ledger import Ledger
from pool.ledger.rules import decide
from pool.lifecycle import SlotState, WorkerState
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.worker.worker import Worker

WINDOW = 8
"""Items of a stream that may be ahead of its reader, in a story."""


def check(supervisor: Supervisor, most: int) -> None:
    """Raise `AssertionError` naming what does not hold.

    `most` is the largest number of workers that `size` and `overflow` have
    allowed so far.
    """
    ledger = supervisor.ledger
    if ledger.life.is_closed:
        return
    assert not ledger.is_unsettled, "something has changed, and nobody asked the rules"
    _nothing_is_overdue(supervisor)
    _slots_add_up(ledger)
    for worker in ledger.roster:
        _slots_and_calls_agree(worker)
    _processes_are_bounded(ledger, most)


def _nothing_is_overdue(supervisor: Supervisor) -> None:
    """What time alone brings about happens when the alarm rings, not a moment before."""
    ledger, alarm = supervisor.ledger, supervisor.next_look
    if alarm is None or supervisor.now() < alarm:
        actions = decide(ledger, supervisor.now())
        assert not actions, f"not done: {actions}, {ledger.life.state}, {ledger.counts()}"


def _slots_add_up(ledger: Ledger[Worker]) -> None:
    idle = 0
    for worker in ledger.roster:
        free = sum(slot.state is SlotState.FREE for slot in worker.slots)
        if worker.is_ready and worker.in_service and not worker.released:
            idle += free
        if worker.state in (WorkerState.STARTING, WorkerState.RETIRING):
            assert free == len(worker.slots), f"{worker} has a slot that is lent"
    assert ledger.lobby.idle_slots == idle, f"{ledger.lobby.idle_slots} slots idle of {idle}"
    assert not (idle and ledger.lobby.waiting), "somebody waits while a worker idles"


def _slots_and_calls_agree(worker: Worker) -> None:
    """No slot has two calls, a free one has none, an abandoned one has one that was given up."""
    if not worker.is_ready:
        return
    calls: dict[Slot[Worker], Call] = {}
    for call in worker.calls.talk._calls.values():
        if call.slot is None:
            continue
        assert call.slot not in calls, f"{worker} has two calls on one slot"
        calls[call.slot] = call
        if isinstance(call, Feed) and worker.calls.grants_credit:
            assert len(call.items) <= WINDOW + 1, f"{len(call.items)} items wait"
    for slot in worker.slots:
        found = calls.pop(slot) if slot in calls else None
        assert slot.state is not SlotState.FREE or found is None, f"{found} is on a free slot"
        is_given_up = found is not None and found.given_up
        assert (slot.state is SlotState.ABANDONED) is is_given_up, f"{slot.state}, {found}"
    assert not calls, f"{worker} has calls on slots of others"


def _processes_are_bounded(ledger: Ledger[Worker], most: int) -> None:
    stand_ins = sum(worker.stands_in for worker in ledger.roster)
    assert stand_ins <= 1, "two stand-ins at once"
    starting = [worker for worker in ledger.roster if worker.state is WorkerState.STARTING]
    assert len(starting) - stand_ins <= ledger.limits.start_concurrency, "too many starts at once"
    ready = [worker for worker in ledger.roster if worker.is_ready and not worker.released]
    given_up = sum(worker.is_blocked for worker in ready)
    assert given_up <= max(ledger.limits.size, 1), "too many that answer nobody"
    extra = ledger.config.spares + given_up + stand_ins
    assert len(ready) <= most + extra, f"{len(ready)} workers, {most} and {extra} may be"

"""What is to be done with workers that take several calls at a time."""

from __future__ import annotations

import pytest

from pool.config import PoolConfig
from pool.ledger.members import Member
from pool.ledger.rules import Kill, Release, Retire, Start
from pool.lifecycle import SlotState, WorkerState
from pool.slots import Slot
from tests.unit.ledger_keeper import Keeper, grown, lend, waits

STUCK = "did not end an abandoned call"


def pair(workers: int = 1, **settings: object) -> tuple[Keeper, Slot[Member], Slot[Member]]:
    """A keeper of workers with two slots each, and both slots of one of them, lent."""
    keeper = grown(workers, size=workers, concurrency=2, **settings)
    slots = [lend(keeper) for _ in range(2 * workers)]
    worker = slots[0].worker
    one, another = [slot for slot in slots if slot.worker is worker]
    for slot in slots:
        if slot.worker is not worker:
            keeper.give_back(slot)
    keeper.what_is_done()
    return keeper, one, another


# Calls that are given up


def test_a_call_that_is_given_up_takes_one_slot_only() -> None:
    keeper, one, another = pair()
    keeper.abandon(one)
    assert keeper.what_is_done() == []
    keeper.give_back(another)
    assert lend(keeper) is another
    keeper.late_reply(one)
    assert lend(keeper) is one
    assert keeper.what_is_done() == []


def test_who_does_not_end_it_is_killed_when_its_neighbours_have_ended() -> None:
    keeper, one, another = pair()
    worker = one.worker
    keeper.abandon(one)
    keeper.stuck(worker)
    assert worker.released == "timeout"
    assert worker.is_ready
    assert not any(isinstance(done, Kill) for done in keeper.what_is_done())
    keeper.give_back(another)
    assert keeper.what_is_done() == [Kill(worker, "timeout", STUCK)]


def test_meanwhile_it_is_lent_no_more_and_another_starts_in_its_place() -> None:
    keeper, one, another = pair()
    keeper.abandon(one)
    keeper.stuck(one.worker)
    assert keeper.what_is_done() == [Start()]
    waiter = waits(keeper)
    keeper.late_reply(one)
    assert one.state is SlotState.FREE
    assert not waiter.has_ended
    keeper.ready(keeper.workers(WorkerState.STARTING)[0])
    assert waiter.slot is not None
    assert waiter.slot.worker is not another.worker


def test_what_it_was_stuck_with_may_end_after_all() -> None:
    keeper, one, another = pair()
    worker = one.worker
    keeper.abandon(one)
    keeper.stuck(worker)
    keeper.late_reply(one)
    keeper.what_is_done()
    keeper.give_back(another)
    assert keeper.what_is_done()[0] == Retire(worker, "timeout")


def test_alone_it_is_killed_at_once() -> None:
    keeper, one, another = pair()
    keeper.give_back(another)
    keeper.abandon(one)
    keeper.stuck(one.worker)
    assert keeper.what_is_done()[0] == Kill(one.worker, "timeout", STUCK)


def test_only_who_has_no_slot_left_is_replaced_before_its_time() -> None:
    keeper, one, another = pair()
    keeper.abandon(one)
    waits(keeper)
    assert keeper.what_is_done() == []
    keeper.abandon(another)
    assert keeper.what_is_done() == [Start()]


def test_who_is_due_goes_when_all_its_calls_have_ended() -> None:
    keeper, one, another = pair(max_calls=20)
    keeper.answer(one, 18)
    assert keeper.what_is_done() == [Start(stands_in=True)]
    keeper.give_back(one)
    assert lend(keeper) is one  # until another stands in
    keeper.ready(keeper.workers(WorkerState.STARTING)[0])
    keeper.give_back(one)
    assert keeper.what_is_done() == []
    keeper.give_back(another)
    assert keeper.what_is_done() == [Retire(one.worker, "recycled_calls")]


def test_after_a_resize_those_with_calls_go_last() -> None:
    keeper, one, _ = pair(workers=2)
    used = lend(keeper)
    idle = used.worker
    assert idle is not one.worker
    keeper.pass_time(1.0)
    keeper.give_back(used)
    keeper.ledger.resize(1, 0)
    keeper.settle()
    assert keeper.what_is_done() == [Release(idle, "unwanted"), Retire(idle, "unwanted")]


# Starts


@pytest.mark.parametrize(("waiting", "starts"), [(1, 1), (8, 1), (9, 2), (24, 3), (99, 3)])
def test_as_many_start_as_have_slots_for_those_who_wait(waiting: int, starts: int) -> None:
    config = PoolConfig(bridge="b", size=3, concurrency=8, start_concurrency=8)
    keeper = Keeper(config)
    for _ in range(waiting):
        keeper.checkout(None)
    keeper.validated(fit=True)
    assert len(keeper.workers(WorkerState.STARTING)) == starts


def test_more_start_when_it_turns_out_that_each_takes_one_call() -> None:
    keeper = Keeper(PoolConfig(bridge="b", size=3, concurrency=8, start_concurrency=8))
    waiters = [keeper.checkout(None) for _ in range(4)]
    keeper.validated(fit=True)
    (first,) = keeper.workers(WorkerState.STARTING)
    keeper.ready(first, one_at_a_time=True)
    served = [ticket for ticket in waiters if ticket is not None and ticket.slot is not None]
    assert len(served) == 1
    assert len(keeper.workers(WorkerState.STARTING)) == 2
    assert keeper.ledger.limits.concurrency == 1


def test_overflow_starts_when_all_slots_of_all_are_lent() -> None:
    keeper = grown(1, size=1, overflow=1, concurrency=2)
    lend(keeper)
    assert keeper.what_is_done() == []
    lend(keeper)
    waits(keeper)
    assert keeper.what_is_done() == [Start()]

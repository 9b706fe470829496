"""What is to be done: one part for each rule, in the order of `pool.ledger.rules`."""

from __future__ import annotations

from random import Random

import pytest

from pool.config import PoolConfig
from pool.errors import PoolClosed, WorkerStartError
from pool.ledger import ENVIRONMENT_RETRY, Ledger
from pool.ledger.members import Member
from pool.ledger.rules import (
    OVERFLOW_LINGER,
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
from pool.restarts import EARLY_LOSS
from tests.unit.ledger_keeper import Keeper, grown, lend, waits

STARTING, READY = WorkerState.STARTING, WorkerState.READY
CLOSES = "was killed because the pool closes"
TERMINATED = "was killed because the pool was terminated"
TOO_MANY = "was one of too many that had not ended abandoned calls"
NOT_WANTED = "was not wanted any more: nobody is to be replaced"


def fresh(**settings: object) -> Keeper:
    return Keeper(PoolConfig(bridge="b", **settings))  # type: ignore[arg-type]


def fit(**settings: object) -> Keeper:
    keeper = fresh(**settings)
    keeper.validated(fit=True)
    keeper.what_is_done()
    return keeper


def make_due(keeper: Keeper, worker: Member, reason: str = "recycled_age") -> None:
    keeper.ledger.make_due(worker, reason)
    keeper.settle()


def resize(keeper: Keeper, size: int, overflow: int = 0) -> None:
    keeper.ledger.resize(size, overflow)
    keeper.settle()


def again_in(keeper: Keeper) -> float | None:
    at = look_again_at(keeper.ledger, keeper.now)
    return None if at is None else at - keeper.now


def fail_start(keeper: Keeper) -> None:
    """The youngest worker ends before it was ready."""
    worker = keeper.workers(STARTING)[-1]
    keeper.lose(worker, "start")
    keeper.exit(worker)


# Before and after


def test_nothing_is_done_before_it_is_open_or_once_it_is_closed() -> None:
    ledger: Ledger[Member] = Ledger(PoolConfig(bridge="b", size=1, min_ready=1), Random(0))
    assert decide(ledger, 0.0) == []
    ledger.open()
    assert decide(ledger, 0.0) == [Validate()]
    ledger.closed(lambda: PoolClosed("closed"))
    assert decide(ledger, 0.0) == []


def test_an_idle_pool_waits_for_nothing() -> None:
    assert again_in(grown(2, size=2)) is None


# Spares


def test_a_spare_takes_a_lost_workers_place_and_another_is_started() -> None:
    keeper = grown(2, size=2, spares=1)
    lost, _, spare = keeper.workers()
    keeper.lose(lost, "protocol")
    assert keeper.what_is_done() == [Promote(spare), Start()]


def test_no_more_spares_are_promoted_than_are_missing() -> None:
    keeper = grown(2, size=2, spares=2)
    lost, _, spare, _ = keeper.workers()
    keeper.lose(lost, "protocol")
    assert keeper.what_is_done() == [Promote(spare), Start()]


def test_spares_go_when_nothing_serves_any_more() -> None:
    keeper = grown(1, size=1, spares=2, idle_timeout=10.0)
    worker, *spares = keeper.workers()
    keeper.pass_time(10.0)
    assert keeper.what_is_done() == [
        Retire(worker, "idle"),
        *(Retire(spare, "unwanted") for spare in spares),
    ]


def test_spares_are_no_more_than_wanted() -> None:
    keeper = grown(2, size=2, spares=1)
    resize(keeper, 1)
    first, second, spare = keeper.workers()
    assert keeper.what_is_done() == [Release(first, "unwanted"), Retire(first, "unwanted")]
    keeper.ledger.put_in_service(spare, keeper.now)
    keeper.settle()
    assert Release(second, "unwanted") in keeper.what_is_done()


def test_a_spare_does_not_idle() -> None:
    keeper = grown(1, size=1, spares=1, idle_timeout=10.0)
    slot = lend(keeper)
    keeper.pass_time(6.0)
    assert again_in(keeper) == 10.0
    keeper.pass_time(6.0)
    keeper.give_back(slot)
    resize(keeper, 1)  # any event that has the rules asked
    assert keeper.what_is_done() == []


# Idle workers


def test_idle_workers_go_after_their_time_down_to_the_floor() -> None:
    keeper = grown(3, size=3, min_ready=1, idle_timeout=10.0)
    first, second, third = keeper.workers()
    keeper.pass_time(9.5)
    assert keeper.what_is_done() == []
    assert again_in(keeper) == 0.5
    keeper.pass_time(0.5)
    assert keeper.what_is_done() == [Retire(first, "idle"), Retire(second, "idle")]
    keeper.pass_time(100.0)
    assert (keeper.what_is_done(), third.state) == ([], READY)


def test_within_size_idle_workers_stay_unless_told_otherwise() -> None:
    keeper = grown(2, size=2)
    keeper.pass_time(1e6)
    assert keeper.what_is_done() == []


def test_above_size_one_that_idles_lingers_then_goes() -> None:
    keeper = grown(3, size=2, overflow=1)
    assert again_in(keeper) == OVERFLOW_LINGER == 30.0
    keeper.pass_time(OVERFLOW_LINGER - 0.5)
    assert keeper.what_is_done() == []
    keeper.pass_time(0.5)
    assert keeper.what_is_done() == [Retire(keeper.workers()[0], "idle")]


def test_one_that_is_busy_has_not_idled() -> None:
    keeper = grown(2, size=2, idle_timeout=10.0)
    slot = lend(keeper)
    idle = next(w for w in keeper.workers() if w is not slot.worker)
    keeper.pass_time(12.0)
    assert keeper.what_is_done() == [Retire(idle, "idle")]
    assert again_in(keeper) == 10.0  # at the earliest: it would have to be given back now
    keeper.give_back(slot)
    keeper.pass_time(10.0)
    assert keeper.what_is_done() == [Retire(slot.worker, "idle")]


def test_who_was_dismissed_is_not_replaced() -> None:
    keeper = grown(2, size=2, idle_timeout=10.0)
    keeper.pass_time(10.0)
    for worker in keeper.workers():
        keeper.exit(worker)
    keeper.pass_time(100.0)
    assert keeper.workers() == []


def test_who_is_on_its_way_out_is_not_said_to_have_idled() -> None:
    keeper = grown(2, size=2, idle_timeout=10.0)
    slots = [lend(keeper), lend(keeper)]
    resize(keeper, 1)
    keeper.pass_time(20.0)
    keeper.what_is_done()
    leaving = next(slot for slot in slots if slot.worker.released)
    keeper.give_back(leaving)
    assert keeper.what_is_done() == [Retire(leaving.worker, "unwanted")]


# Surplus


def test_after_a_resize_who_is_too_many_goes_the_longest_idle_first() -> None:
    keeper = grown(4, size=4)
    slots = [lend(keeper) for _ in range(4)]
    for slot in slots[1:]:
        keeper.pass_time(1.0)
        keeper.give_back(slot)
    resize(keeper, 2)
    first, second = slots[1].worker, slots[2].worker
    assert keeper.what_is_done() == [
        Release(first, "unwanted"),
        Release(second, "unwanted"),
        *(Retire(w, "unwanted") for w in keeper.workers() if w in (first, second)),
    ]


def test_overflow_is_no_surplus() -> None:
    keeper = grown(3, size=3)
    resize(keeper, 1, overflow=2)
    assert keeper.what_is_done() == []


def test_a_spare_is_no_surplus_however_long_it_has_idled() -> None:
    keeper = grown(2, size=2, spares=1)
    slots = [lend(keeper), lend(keeper)]
    keeper.pass_time(1.0)
    for slot in slots:
        keeper.give_back(slot)
    resize(keeper, 1)
    (released,) = (w for w in keeper.workers() if w.released)
    assert released.in_service


def test_who_is_too_many_and_busy_finishes_its_call() -> None:
    keeper = grown(2, size=2)
    slots = [lend(keeper), lend(keeper)]
    resize(keeper, 1)
    (released,) = (w for w in keeper.workers() if w.released)
    assert keeper.what_is_done() == [Release(released, "unwanted")]
    keeper.give_back(next(slot for slot in slots if slot.worker is released))
    assert keeper.what_is_done() == [Retire(released, "unwanted")]


def test_a_late_reply_may_bring_back_one_too_many() -> None:
    keeper = grown(1, size=1)
    late = lend(keeper)
    keeper.abandon(late)
    waits(keeper)
    (young,) = keeper.workers(STARTING)
    keeper.ready(young)
    keeper.what_is_done()
    keeper.late_reply(late)
    assert keeper.what_is_done() == [
        Release(late.worker, "unwanted"),
        Retire(late.worker, "unwanted"),
    ]


# Workers that are due


def test_who_is_due_serves_until_another_stands_in() -> None:
    keeper = grown(1, size=1)
    (old,) = keeper.workers()
    make_due(keeper, old)
    assert keeper.what_is_done() == [Start(stands_in=True)]
    keeper.give_back(lend(keeper))
    young = keeper.workers()[1]
    keeper.ready(young)
    assert keeper.what_is_done() == [Retire(old, "recycled_age")]
    assert lend(keeper).worker is young


def test_who_is_due_is_replaced_one_at_a_time() -> None:
    keeper = grown(2, size=2)
    first, second = keeper.workers()
    make_due(keeper, first)
    make_due(keeper, second)
    assert keeper.what_is_done() == [Start(stands_in=True)]
    keeper.ready(keeper.workers()[2])
    assert keeper.what_is_done() == [Retire(first, "recycled_age")]
    keeper.exit(first)
    assert keeper.what_is_done() == [Start(stands_in=True)]


def test_one_on_its_way_out_is_waited_for_with_patience() -> None:
    keeper = grown(2, size=2, grace_period=3.0)
    slots = [lend(keeper), lend(keeper)]
    for slot in slots:
        make_due(keeper, slot.worker)
    keeper.pass_time(10.0)
    keeper.ready(keeper.workers()[2])
    assert keeper.what_is_done() == [Start(stands_in=True)]
    assert again_in(keeper) == 3.0
    keeper.pass_time(2.5)
    assert keeper.what_is_done() == []
    keeper.pass_time(0.5)
    assert keeper.what_is_done() == [Start(stands_in=True)]


def test_a_spare_is_replaced_as_a_spare() -> None:
    keeper = grown(1, size=1, spares=1)
    _, spare = keeper.workers()
    make_due(keeper, spare)
    keeper.ready(keeper.workers()[2])
    assert keeper.what_is_done() == [Start(stands_in=True), Retire(spare, "recycled_age")]
    assert keeper.ledger.roster.spares() == [keeper.workers()[2]]


def test_who_is_due_with_an_abandoned_call_just_goes() -> None:
    keeper = grown(2, size=2)
    slot = lend(keeper)
    keeper.abandon(slot)
    make_due(keeper, slot.worker)
    assert keeper.what_is_done() == [Release(slot.worker, "recycled_age"), Start()]
    keeper.late_reply(slot)
    assert keeper.what_is_done() == [Retire(slot.worker, "recycled_age")]


def test_who_is_gone_already_is_not_released() -> None:
    keeper = grown(2, size=2)
    slot = lend(keeper)
    keeper.abandon(slot)
    keeper.lose(slot.worker, "timeout")
    keeper.what_is_done()
    make_due(keeper, slot.worker)
    assert keeper.what_is_done() == []


def test_beyond_size_the_oldest_with_an_abandoned_call_is_killed() -> None:
    keeper = grown(2, size=2)
    first, _ = keeper.workers()
    lend(keeper)
    lend(keeper)
    for _ in range(3):
        keeper.abandon(keeper.leases[0])
        waits(keeper)
        keeper.ready(keeper.workers(STARTING)[0])
    kills = [action for action in keeper.what_is_done() if isinstance(action, Kill)]
    assert kills == [Kill(first, "timeout", TOO_MANY)]


def test_a_stand_in_goes_when_whom_it_was_for_is_lost() -> None:
    keeper = grown(2, size=2)
    old, _ = keeper.workers()
    make_due(keeper, old)
    stand_in = keeper.workers()[2]
    keeper.what_is_done()
    keeper.lose(old, "protocol")
    assert keeper.what_is_done() == [Kill(stand_in, "unwanted", NOT_WANTED), Start()]


def test_a_stand_in_goes_when_the_pool_drains() -> None:
    keeper = grown(1, size=1)
    make_due(keeper, lend(keeper).worker)
    stand_in = keeper.workers()[1]
    keeper.ledger.drain()
    keeper.settle()
    assert keeper.what_is_done()[1:] == [Kill(stand_in, "unwanted", NOT_WANTED)]


def test_nobody_is_replaced_in_a_pool_that_drains() -> None:
    keeper = grown(1, size=1)
    slot = lend(keeper)
    keeper.ledger.drain()
    make_due(keeper, slot.worker)
    assert keeper.what_is_done() == []


def test_who_serves_is_replaced_however_young_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.ledger_keeper.BEGIN", 0.0)
    keeper = grown(1, size=1, grace_period=5.0)
    make_due(keeper, keeper.workers()[0])
    assert keeper.what_is_done() == [Start(stands_in=True)]


def test_nobody_stands_in_while_a_back_off_is_pending() -> None:
    keeper = grown(1, size=1)
    (old,) = keeper.workers()
    make_due(keeper, old)
    fail_start(keeper)
    assert keeper.what_is_done() == [Start(stands_in=True)]
    pause = keeper.ledger.restarts.not_before - keeper.now
    assert again_in(keeper) == pause > 0
    keeper.pass_time(pause)
    assert keeper.what_is_done() == [Start(stands_in=True)]


def test_a_worker_is_due_at_its_age() -> None:
    keeper = grown(1, size=1, max_age=100.0)
    (worker,) = keeper.workers()
    assert worker.term.age is not None
    assert again_in(keeper) == pytest.approx(worker.term.age)
    keeper.pass_time(worker.term.age)
    assert worker.due == "recycled_age"
    assert keeper.what_is_done() == [Start(stands_in=True)]
    assert again_in(keeper) == pytest.approx(keeper.workers()[1].term.age)


# The environment


def test_the_environment_is_asked_once_and_only_when_needed() -> None:
    keeper = fresh(size=2)
    assert keeper.what_is_done() == []
    waits(keeper)
    waits(keeper)
    assert keeper.what_is_done() == [Validate()]
    keeper.validated(fit=True)
    assert keeper.what_is_done() == [Start(), Start()]


def test_an_unfit_environment_is_asked_again_by_the_next_checkout() -> None:
    keeper = fresh(size=1)
    ticket = waits(keeper)
    keeper.validated(fit=False)
    assert isinstance(ticket.error, PoolClosed)
    assert again_in(keeper) is None
    keeper.pass_time(100.0)
    assert keeper.what_is_done() == [Validate()]  # nobody needs it
    waits(keeper)
    keeper.validated(fit=False)
    waits(keeper)
    assert keeper.what_is_done() == [Validate(), Validate()]


def test_for_min_ready_alone_it_is_asked_after_a_while() -> None:
    keeper = fresh(size=1, min_ready=1)
    keeper.validated(fit=False)
    assert keeper.what_is_done() == [Validate()]
    assert again_in(keeper) == ENVIRONMENT_RETRY
    keeper.pass_time(ENVIRONMENT_RETRY - 0.5)
    assert keeper.what_is_done() == []
    keeper.pass_time(0.5)
    assert keeper.what_is_done() == [Validate()]


# Starts


def test_no_more_start_at_once_than_may() -> None:
    keeper = fresh(size=4, start_concurrency=2)
    for _ in range(4):
        waits(keeper)
    keeper.validated(fit=True)
    assert keeper.what_is_done() == [Validate(), Start(), Start()]
    keeper.ready(keeper.workers()[0])
    assert keeper.what_is_done() == [Start()]


def test_a_lost_worker_is_replaced_at_once_and_unasked() -> None:
    keeper = grown(2, size=2)
    keeper.lose(keeper.workers()[0], "protocol")
    assert keeper.what_is_done() == [Start()]


def test_after_a_failed_start_one_at_a_time_and_after_a_pause() -> None:
    keeper = fresh(size=3, start_concurrency=3)
    for _ in range(3):
        waits(keeper)
    keeper.validated(fit=True)
    for _ in range(3):
        fail_start(keeper)
    keeper.what_is_done()
    pause = keeper.ledger.restarts.not_before - keeper.now
    assert again_in(keeper) == pause > 0
    keeper.pass_time(pause)
    assert keeper.what_is_done() == [Start()]


def test_the_back_off_is_over_when_one_has_lived_for_a_while() -> None:
    keeper = fit(size=2, min_ready=1)
    fail_start(keeper)
    keeper.pass_time(1.0)
    keeper.ready(keeper.workers()[0])
    assert again_in(keeper) == EARLY_LOSS
    keeper.pass_time(EARLY_LOSS)
    assert keeper.ledger.restarts.failed_at is None


def test_nothing_takes_the_place_of_one_whose_end_may_be_a_failed_start() -> None:
    keeper = fit(size=1, min_ready=1)
    (young,) = keeper.workers()
    keeper.lose(young, "")
    assert keeper.what_is_done() == []


def test_a_crash_loop_fails_who_waits_and_is_probed_after_it_cooled_down() -> None:
    keeper = fit(size=1, max_restarts=0)
    ticket = waits(keeper)
    fail_start(keeper)
    assert isinstance(ticket.error, WorkerStartError)
    assert keeper.ledger.life.state is PoolState.FAILED
    keeper.pass_time(9.5)
    keeper.what_is_done()
    assert (keeper.checkout(None), keeper.what_is_done()) == (None, [])
    keeper.pass_time(0.5)
    waits(keeper)
    assert keeper.what_is_done() == [Start()]


# The end


def test_who_idles_is_retired_and_who_starts_is_killed() -> None:
    keeper = grown(1, size=1, spares=1)
    make_due(keeper, keeper.workers()[0])
    idle, spare, starting = keeper.workers()
    keeper.what_is_done()
    keeper.ledger.drain()
    keeper.settle()
    assert keeper.what_is_done() == [
        Retire(idle, "drain"),
        Retire(spare, "drain"),
        Kill(starting, "drain", CLOSES),
    ]


def test_while_it_drains_who_is_busy_and_who_waits_are_served() -> None:
    keeper = grown(1, size=1)
    slot = lend(keeper)
    ticket = waits(keeper)
    keeper.ledger.drain()
    keeper.settle()
    keeper.give_back(slot)
    assert keeper.what_is_done() == []
    assert ticket.slot is slot
    keeper.give_back(slot)
    assert keeper.what_is_done() == [Retire(slot.worker, "drain")]


def test_closing_hurries_after_the_grace_period() -> None:
    keeper = grown(2, size=2, grace_period=3.0)
    lend(keeper)
    keeper.close()
    assert (keeper.what_is_done(), again_in(keeper)) == ([], 3.0)
    keeper.pass_time(2.5)
    assert keeper.what_is_done() == []
    keeper.pass_time(0.5)
    assert keeper.what_is_done() == [Kill(w, "drain", CLOSES) for w in keeper.workers()]


def test_terminating_kills_all_at_once_even_who_was_asked_to_go() -> None:
    keeper = grown(3, size=3)
    lend(keeper)
    retiring, killed, *_ = keeper.workers()
    keeper.lose(killed, "protocol")
    resize(keeper, 1)
    assert retiring.state is WorkerState.RETIRING
    keeper.what_is_done()
    keeper.ledger.terminate(lambda: PoolClosed("terminated"))
    keeper.settle()
    rest = [w for w in keeper.workers() if w is not killed]
    assert keeper.what_is_done() == [Kill(w, "drain", TERMINATED) for w in rest]

"""Workers and the environment, as the book has them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from pool.config import PoolConfig
from pool.errors import PoolClosed, WorkerStartError
from pool.ledger import ENVIRONMENT_RETRY, Fitness, Ledger
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import PoolState, WorkerEvent
from tests.unit.ledger_book import (
    ERROR,
    Book,
    closed,
    is_ready,
    loses,
    opened,
    serves,
    starts,
    waits,
)
from tests.unit.ledger_keeper import Ticket

# What a worker is for


def test_who_is_ready_serves_unless_enough_do() -> None:
    book = opened(size=2, min_ready=2, spares=1)
    workers = [is_ready(book, starts(book)) for _ in range(4)]
    # The last is more than was wanted, and no spare is missing.
    assert [worker.in_service for worker in workers] == [True, True, False, True]


def test_who_serves_is_kept_up_to_size() -> None:
    book = opened(size=2, overflow=1)
    kept = []
    for _ in range(3):
        serves(book)
        kept.append(book.keep)
    assert kept == [1, 2, 2]


def test_who_is_dismissed_is_not_kept_and_who_is_lost_is() -> None:
    book = opened(size=3)
    workers = [serves(book) for _ in range(3)]
    loses(book, workers[0], reason="protocol")
    kept = book.keep
    workers[1].leave(WorkerEvent.RETIRE, "idle", 0.0)
    book.leaves(workers[1])
    assert (kept, book.keep) == (3, 1)


def test_fewer_are_kept_after_a_resize() -> None:
    book = opened(size=3)
    for _ in range(3):
        serves(book)
    book.resize(2, 1)
    assert (book.keep, book.limits.size, book.limits.overflow) == (2, 2, 1)
    assert book.limits.start_concurrency == opened(size=3).limits.start_concurrency


def test_one_stands_in_for_the_first_who_is_due() -> None:
    book = opened(size=2)
    old = [serves(book), serves(book)]
    for worker in old:
        book.make_due(worker, "recycled_age")
    young = is_ready(book, starts(book, stands_in=True), now=5.0)
    assert (old[0].released, old[0].released_at, old[1].released) == ("recycled_age", 5.0, "")
    assert (young.in_service, young.stands_in) == (True, False)


def test_one_whose_place_was_lost_is_a_spare() -> None:
    book = opened(size=2)
    serves(book)
    young = is_ready(book, starts(book, stands_in=True))
    assert (young.is_spare, young.stands_in) == (True, False)


def test_who_stands_in_for_a_spare_is_one() -> None:
    book = opened(size=1, spares=1)
    serves(book)
    spare = is_ready(book, starts(book))
    book.make_due(spare, "recycled_age")
    young = is_ready(book, starts(book, stands_in=True))
    assert (spare.released, young.is_spare) == ("recycled_age", True)


# Recycling


def test_a_new_term_is_what_is_configured_and_jittered() -> None:
    book = opened(max_calls=100, max_age=50.0, max_memory=10_000_000)
    term = book.new_term()
    assert term.calls is not None
    assert term.age is not None
    assert term.memory is not None
    assert 90 <= term.calls <= 100
    assert 45.0 <= term.age <= 50.0
    assert 9_000_000 <= term.memory <= 10_000_000
    assert opened().new_term() == Term()


def test_a_worker_is_due_after_its_calls() -> None:
    book = opened()
    worker, other = serves(book, calls=3), serves(book)
    due = []
    for _ in range(3):
        book.answered(worker)
        book.answered(other)
        due.append(worker.due)
    assert (due, other.due) == (["", "", "recycled_calls"], "")
    assert worker.finished_calls == 3


def test_a_worker_is_due_at_its_age_and_for_its_memory() -> None:
    book = opened()
    old, big, other = serves(book, 2.0, age=8.0), serves(book, memory=100), serves(book)
    book.tick(9.9)
    assert old.due == ""
    book.tick(10.0)
    for worker, size in ((big, 101), (other, 10**9)):
        book.measured(worker, size, 10.0)
    assert (old.due, big.due, other.due) == ("recycled_age", "recycled_memory", "")


def test_what_is_measured_may_show_its_age_too() -> None:
    book = opened()
    worker = serves(book, 2.0, age=8.0)
    due = []
    for now in (9.9, 10.0):
        book.measured(worker, 1, now)
        due.append(worker.due)
    assert due == ["", "recycled_age"]


def test_the_first_reason_stays() -> None:
    book = opened()
    worker = serves(book)
    book.make_due(worker, "reload")
    book.settled()
    book.make_due(worker, "recycled_age")
    assert (worker.due, book.is_unsettled) == ("reload", False)


def test_pardoned_is_who_is_due_for_that_reason() -> None:
    book = opened()
    reloaded, aged, fresh = serves(book), serves(book), serves(book)
    book.make_due(reloaded, "reload")
    book.make_due(aged, "recycled_age")
    book.pardon("reload")
    assert [w.due for w in (reloaded, aged, fresh)] == ["", "recycled_age", ""]


# Losses and failed starts


def test_who_was_asked_to_go_is_no_loss() -> None:
    book = opened()
    book.restarts.failed(0.0, ERROR)
    assert loses(book, serves(book), reason="drain") is False
    assert len(book.roster) == 0
    assert book.restarts.failed_at == 0.0


def test_a_start_that_fails_is_counted() -> None:
    book = opened()
    assert loses(book, starts(book), 4.0, "start") is True
    assert (book.restarts.failed_at, book.restarts.last_cause) == (4.0, ERROR)


def test_any_other_loss_ends_the_back_off() -> None:
    book = opened()
    book.restarts.failed(0.0, ERROR)
    assert loses(book, serves(book, 1.0), 3.0, "protocol") is False
    assert book.restarts.failed_at is None


def test_a_first_answer_ends_the_back_off_and_later_ones_do_not() -> None:
    book = opened()
    worker = serves(book)
    failed_at = []
    for now in (1.0, 2.0):
        book.restarts.failed(now, ERROR)
        book.answered(worker)
        failed_at.append(book.restarts.failed_at)
    assert failed_at == [None, 2.0]


@pytest.mark.parametrize("ready_at", [5.0, 6.0])
def test_who_lives_for_a_while_after_a_failed_start_ends_the_back_off(ready_at: float) -> None:
    book = opened()
    serves(book, 4.0)
    due = [book.proof_due_at()]
    book.restarts.failed(5.0, ERROR)
    due.append(book.proof_due_at())
    worker = serves(book, ready_at)
    serves(book, 7.0)
    assert [*due, book.proof_due_at()] == [None, None, ready_at + 1.0]
    book.tick(ready_at + 0.9)
    assert book.restarts.failed_at == 5.0
    worker.leave(WorkerEvent.RETIRE, "idle", 6.9)
    assert book.proof_due_at() == 8.0
    book.tick(8.0)
    assert book.restarts.failed_at is None


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ([], PoolState.FAILED),
        ([serves], PoolState.OPEN),
        ([starts], PoolState.OPEN),
    ],
)
def test_a_crash_loop_fails_the_pool_when_nobody_else_could_work(
    others: list[Callable[[Book], Member]], state: PoolState
) -> None:
    book = opened(size=3, max_restarts=0, name="p")
    for other in others:
        other(book)
    ticket = Ticket(None)
    lost = starts(book)
    book.join(ticket)
    if others == [serves]:
        book.leave(ticket)
    loses(book, lost, 4.0, "start")
    assert book.life.state is state
    assert isinstance(ticket.error, WorkerStartError) is (state is PoolState.FAILED)
    assert "p: crash loop" in str(book.refusal(4.0))


def test_one_failed_start_is_no_crash_loop() -> None:
    book = opened()
    loses(book, starts(book), 4.0, "start")
    assert book.life.state is PoolState.OPEN


def test_a_crash_loop_is_probed_when_it_has_cooled_down() -> None:
    book = opened(max_restarts=0)
    loses(book, starts(book), 4.0, "start")
    states = []
    for now in (13.9, 14.0):
        book.tick(now)
        states.append(book.life.state)
    assert states == [PoolState.FAILED, PoolState.OPEN]


# The environment


def test_what_is_known_of_the_environment() -> None:
    book: Book = Ledger(PoolConfig(bridge="b"), Random(0))
    book.open()
    known = [book.fitness]
    book.validation_begins()
    known.append(book.fitness)
    ticket = waits(book)
    book.validation_failed(closed, 10.0)
    known.append(book.fitness)
    assert isinstance(ticket.error, PoolClosed)
    assert book.ask_again_at == 10.0 + ENVIRONMENT_RETRY == 15.0
    book.validated()
    known.append(book.fitness)
    assert known == [Fitness.UNKNOWN, Fitness.BEING_ASKED, Fitness.UNFIT, Fitness.FIT]


def test_a_validation_that_fails_after_another_has_not_changes_nothing() -> None:
    book = opened()
    ticket = waits(book)
    book.validation_failed(closed, 10.0)
    assert (book.fitness, ticket.error) == (Fitness.FIT, None)


def test_with_fresh_code_all_others_are_due_and_failures_are_history() -> None:
    book = opened(max_restarts=0)
    loses(book, starts(book), 4.0, "start")
    failed = book.life.state
    book.fitness = Fitness.UNFIT
    old, young, gone = serves(book), serves(book), serves(book)
    gone.leave(WorkerEvent.RETIRE, "idle", 5.0)
    book.renewed(outdated=lambda worker: worker is not young)
    assert (failed, book.life.state) == (PoolState.FAILED, PoolState.OPEN)
    assert book.fitness is Fitness.FIT
    assert book.restarts.failed_at is None
    assert [worker.due for worker in (old, young, gone)] == ["reload", "", ""]

"""Why a pool is not ready for work, and that nothing is said of one that is."""

from __future__ import annotations

import pytest

from pool.errors import PoolClosed, WorkerStartError
from pool.telemetry.readiness import why_not_ready
from tests.unit.ledger_book import Book, opened, serves, starts

CAUSE = WorkerStartError("no module", worker="w")


def why(book: Book, *problems: str, now: float = 0.0) -> str | None:
    return why_not_ready(book, problems, now)


def test_enough_workers_have_answered() -> None:
    book = opened(name="p", size=3, min_ready=2)
    serves(book)
    assert why(book) == "p: 1 of min_ready=2 workers are ready; they are starting"
    serves(book)
    assert why(book) is None
    serves(book)
    assert why(book) is None


def test_workers_that_have_not_answered_yet_do_not_count() -> None:
    book = opened(name="p", size=2, min_ready=1)
    starts(book)
    assert why(book) == "p: 0 of min_ready=1 workers are ready; they are starting"


def test_no_worker_is_needed_where_none_is_asked_for() -> None:
    assert why(opened(name="p", min_ready=0)) is None


def test_workers_that_fail_to_start_are_the_cause() -> None:
    book = opened(name="p", min_ready=1)
    book.restarts.failed(0.0, CAUSE)
    assert why(book) == f"p: 0 of min_ready=1 workers are ready; they fail to start: {CAUSE}"


def test_a_failed_start_does_not_matter_while_enough_serve() -> None:
    book = opened(name="p", size=2, min_ready=1)
    serves(book)
    book.restarts.failed(0.0, CAUSE)
    assert why(book) is None


@pytest.mark.parametrize("min_ready", [0, 1])
def test_an_environment_with_problems_is_not_ready(min_ready: int) -> None:
    book = opened(name="p", min_ready=min_ready)
    told = "p: the environment cannot run the bridge: no python; no bridge"
    assert why(book, "no python", "no bridge") == told


def test_a_pool_in_a_crash_loop_says_for_how_long() -> None:
    book = opened(name="p", min_ready=0, max_restarts=0)
    book.restarts.failed(1.0, CAUSE)
    book.life.fail()
    assert why(book, "no python", now=2.0) == str(book.refusal(2.0))
    assert why(book, now=2.0) != str(book.refusal(5.0))


def test_a_pool_that_closes_or_is_closed_says_so() -> None:
    book = opened(name="p", min_ready=0)
    book.close(0.0, lambda: PoolClosed("closed"))
    assert why(book, "no python") == "p: the pool is draining"
    book.closed(lambda: PoolClosed("closed"))
    assert why(book) == "p: the pool is closed"

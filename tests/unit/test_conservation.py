"""The load's counts against the pool's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from pool.cli.stress.conservation import differences
from pool.cli.stress.measured import Footprint, Measured, Toll
from tests.unit.runs import adding_up, stats


def measured(**changed: Any) -> Measured:
    known: dict[str, Any] = {
        "offered": 14,
        "successful": 7,
        "shed": 2,
        "retries": 1,
        "errors": Counter(
            {
                "BrokenWorkerError": 1,
                "RemoteError:ValueError": 1,
                "PoolTimeout": 2,
                "CallTimeout": 1,
            }
        ),
        "calls": Counter(
            {"ok": 7, "BrokenWorkerError": 2, "RemoteError:ValueError": 1, "CallTimeout": 1}
        ),
    }
    return Measured(**{**known, **changed})


POOL: dict[str, Any] = {
    "checkouts": {"ok": 11, "shed": 2, "timeout": 2},
    "calls": {"ok": 7, "worker_lost": 2, "error": 1, "timeout": 1},
}


def found(measured: Measured, toll: Toll | None = None, **changed: Any) -> list[str]:
    return differences(adding_up(measured, toll or Toll(), **{**POOL, **changed}))


def test_counts_that_agree_need_no_words() -> None:
    assert found(measured()) == []


def test_retries_of_the_pool_are_checkouts_that_the_load_does_not_see() -> None:
    calls = Counter(
        {"ok": 7, "BrokenWorkerError": 1, "RemoteError:ValueError": 1, "CallTimeout": 1}
    )
    assert found(measured(retries=0, calls=calls), retries=1) == []


def test_a_call_that_met_garbage_and_was_made_again_was_lost_too() -> None:
    garbled = {**POOL["calls"], "worker_lost": 1, "protocol": 1}
    assert found(measured(), calls=garbled) == []


def test_an_operation_that_fails_before_it_asks_is_no_checkout() -> None:
    errors = measured().errors + Counter(RequestError=1)
    assert found(measured(offered=15, errors=errors, unasked=1)) == []


@pytest.mark.parametrize(
    ("ours", "pools", "said"),
    [
        ({"offered": 15}, {}, "15 operations were offered, 14 have an outcome"),
        ({}, {"checkouts": {**POOL["checkouts"], "ok": 12}}, "checkouts 'ok': 11 by the load"),
        ({}, {"checkouts": {**POOL["checkouts"], "shed": 1}}, "checkouts 'shed': 2 by the load"),
        ({}, {"checkouts": {**POOL["checkouts"], "cancelled": 1}}, "checkouts 'cancelled': 0"),
        ({}, {"calls": {**POOL["calls"], "ok": 6}}, "calls 'ok': 7 by the load's count, 6"),
        ({}, {"calls": {**POOL["calls"], "error": 0}}, "calls 'error': 1 by the load's count, 0"),
        ({}, {"calls": {**POOL["calls"], "protocol": 1}}, "calls that lost their worker: 2"),
        ({}, {"calls": {**POOL["calls"], "timeout": 2}}, "calls 'timeout': 1 by"),
        ({}, {"calls": {**POOL["calls"], "worker_lost": 3}}, "calls that lost their worker: 2"),
    ],
)
def test_an_operation_checkout_or_call_too_many_is_named(
    ours: dict[str, Any], pools: dict[str, Any], said: str
) -> None:
    (difference,) = found(measured(**ours), **pools)
    assert difference.startswith(said)


def test_workers_are_started_gone_or_still_there() -> None:
    run = adding_up(measured(), Toll(), **POOL)
    loaded = stats(worker_starts=3, worker_exits={"idle": 1}, total=1)
    closed = replace(run.closed, worker_starts=3, worker_exits={"idle": 2}, total=1)
    assert differences(replace(run, loaded=loaded, closed=closed)) == [
        "after the load, 3 workers were started, 2 are known of",
        "1 workers left in the pool that was closed",
    ]


def test_every_victim_has_ended_and_is_an_exit_of_the_pools() -> None:
    assert found(measured(), Toll(Counter(kill=2), Counter(kill=2))) == []
    survived = Toll(Counter(term=3), Counter(term=2), survivors=Counter(term=1))
    assert found(measured(), survived) == ["1 of 3 workers survived 'term'"]
    uncounted = {"worker_starts": 1, "worker_exits": {"signal": 1}}
    assert found(measured(), Toll(Counter(kill=2), Counter(kill=2)), **uncounted) == [
        "2 struck workers ended, the pool counts 1 exits"
    ]


def test_descriptors_and_tasks_are_as_before() -> None:
    run = adding_up(measured(), Toll(), **POOL)
    after = Footprint(rss_mb=90.0, descriptors=9, tasks=2)
    assert differences(replace(run, after=after)) == [
        "1 tasks before the pool was opened, 2 after it was closed"
    ]

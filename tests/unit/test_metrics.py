"""What the metrics of a pool read."""

from __future__ import annotations

from math import inf
from typing import Any

from pool.lifecycle import PoolState
from pool.telemetry.metrics import METRICS, Picture, readings
from pool.telemetry.tally import OTHER, Tally
from tests.unit.runs import stats
from tests.unit.tables import in_tables
from tests.unit.test_tally import call


def read(tally: Tally | None = None, picture: Any = None, **known: Any) -> dict[Any, Any]:
    found = picture or Picture(stats(**known), tally or Tally(50, is_open=True))
    return {(name, *labels): value for name, labels, value in readings(found)}


def test_each_metric_but_the_info_is_read_and_none_that_is_not_there() -> None:
    tally = Tally(50, is_open=True)
    tally.add(in_tables([call(compute=0.1, items=1)]))
    picture = Picture(stats(calls={"ok": 1}), tally, {0: 1}, {0: 1.0})
    found = {name for name, *_ in read(picture=picture)}
    assert found == {metric.name for metric in METRICS} - {"info"}


def test_labels_are_as_many_as_the_metric_has() -> None:
    known = {metric.name: len(metric.labels) for metric in METRICS}
    for name, *labels in read():
        assert len(labels) == known[name]


def test_the_state_is_one_of_all() -> None:
    found = read(state=PoolState.FAILED)
    states = {key[1]: value for key, value in found.items() if key[0] == "state"}
    assert {*states} == {state.value for state in PoolState}
    assert [state for state, value in states.items() if value] == ["failed"]


def test_gauges() -> None:
    found = read(size=4, slots=8, busy_slots=2, max_waiting=None, oldest_waiting=1.5, backoff=2.5)
    assert found["workers_limit",] == 4
    assert found["utilization_ratio",] == 0.25
    assert found["queue_limit",] == inf
    assert found["oldest_pending_seconds",] == 1.5
    assert found["backoff_seconds",] == 2.5
    assert read()["utilization_ratio",] == 0.0


def test_calls_of_which_no_event_told_are_counted_as_others() -> None:
    tally = Tally(50, is_open=True)
    tally.add(in_tables([call(), call(outcome="timeout")]))
    found = read(tally, calls={"ok": 1, "timeout": 4, "circuit_open": 2})
    calls = {key[1:]: value for key, value in found.items() if key[0] == "calls" and value}
    assert calls == {
        ("ask", "ok"): 1,
        ("ask", "timeout"): 1,
        (OTHER, "timeout"): 3,
        (OTHER, "circuit_open"): 2,
    }


def test_what_has_not_happened_yet_is_zero() -> None:
    found = read(worker_exits={"ping": 2})
    assert found["worker_exits", "crash"] == 0
    assert found["worker_exits", "ping"] == 2
    assert found["pings", "timeout"] == 2
    assert found["calls", OTHER, "protocol"] == 0
    assert found["checkouts", "shed"] == 0
    assert found["worker_starts", "failed"] == 0


def test_retries_before_anybody_listened() -> None:
    assert read(retries=2)["retries", OTHER] == 2

"""What the metrics of a pool read."""

from __future__ import annotations

import re
from math import inf
from typing import Any

import pytest

from pool.lifecycle import PoolState
from pool.telemetry.events import CallRetried
from pool.telemetry.histograms import Histogram
from pool.telemetry.metrics import METRICS, PREFIX, Picture, readings
from pool.telemetry.tally import OTHER, Tally
from tests.unit.runs import stats
from tests.unit.tables import in_tables
from tests.unit.test_tally import call


def read(tally: Tally | None = None, picture: Any = None, **known: Any) -> dict[Any, Any]:
    found = picture or Picture(stats(**known), tally or Tally(50, is_open=True))
    return {(name, *labels): value for name, labels, value in readings(found)}


def full() -> Picture:
    """Of a pool in which something of everything has happened."""
    tally = Tally(50, is_open=True)
    tally.add(in_tables([call(compute=0.1, items=1)]))
    return Picture(stats(calls={"ok": 1}), tally, {0: 1}, {0: 1.0})


def test_each_metric_but_the_info_is_read_and_none_that_is_not_there() -> None:
    found = {name for name, *_ in read(picture=full())}
    assert found == {metric.name for metric in METRICS} - {"info"}


def test_labels_are_as_many_as_the_metric_has() -> None:
    known = {metric.name: len(metric.labels) for metric in METRICS}
    for name, *labels in read(picture=full()):
        assert len(labels) == known[name]


def test_histograms_are_read_where_there_should_be_some_and_numbers_elsewhere() -> None:
    kinds = {metric.name: metric.kind for metric in METRICS}
    assert {*kinds.values()} == {"info", "stateset", "gauge", "counter", "histogram"}
    for (name, *_), value in read(picture=full()).items():
        assert isinstance(value, Histogram) is (kinds[name] == "histogram")


def test_metrics_are_named_as_prometheus_asks_for_and_told_in_a_sentence() -> None:
    assert PREFIX == "workerpool_"
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {"state", "outcome", "command", "reason", "phase", "slot"}
    for metric in METRICS:
        assert re.fullmatch(r"[a-z_]+(?<!_total)", metric.name)
        assert re.fullmatch(r"[A-Z].+\.", metric.help)


def test_the_state_is_one_of_all() -> None:
    found = read(state=PoolState.FAILED)
    states = {key[1]: value for key, value in found.items() if key[0] == "state"}
    assert {*states} == {state.value for state in PoolState}
    assert [state for state, value in states.items() if value] == ["failed"]


def test_workers_are_told_apart_by_what_they_are_doing() -> None:
    doing: dict[str, Any] = {
        "starting": 1,
        "idle": 2,
        "busy": 3,
        "spare": 4,
        "abandoned": 5,
        "stopping": 6,
    }
    found = read(**doing)
    assert {key[1]: value for key, value in found.items() if key[0] == "workers"} == doing


def test_gauges() -> None:
    found = read(size=4, slots=8, busy_slots=2, max_waiting=None, oldest_waiting=1.5, backoff=2.5)
    assert found["workers_limit",] == 4
    assert found["utilization_ratio",] == 0.25
    assert found["queue_limit",] == inf
    assert read(max_waiting=7)["queue_limit",] == 7
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


def test_calls_of_commands_without_a_label_are_among_the_others() -> None:
    tally = Tally(0, is_open=True)
    tally.add(in_tables([call(), call()]))
    assert read(tally, calls={"ok": 5})["calls", OTHER, "ok"] == 5


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("checkouts", "ok timeout shed cancelled closed failed"),
        ("calls", "ok error timeout cancelled worker_lost protocol"),
        ("retries", "worker_lost protocol"),
        ("worker_starts", "ok failed cancelled"),
        (
            "worker_exits",
            "crash signal oom start recycled_calls recycled_age recycled_memory idle unwanted "
            "reload template_lost timeout cancel ping protocol drain",
        ),
        ("environment_validations", "ok failed"),
        ("pings", "ok timeout"),
    ],
)
def test_what_has_not_happened_yet_is_zero(name: str, known: str) -> None:
    found = {key[-1]: value for key, value in read().items() if key[0] == name}
    assert found == dict.fromkeys(known.split(), 0)


def test_what_has_happened_is_counted_by_its_cause() -> None:
    found = read(worker_exits={"ping": 2, "another": 1}, pings={"ok": 9})
    assert (found["worker_exits", "ping"], found["worker_exits", "another"]) == (2, 1)
    assert (found["pings", "ok"], found["pings", "timeout"]) == (9, 2)


def test_retries_before_anybody_listened() -> None:
    tally = Tally(50, is_open=True)
    tally.add([CallRetried("p", 0.0, "ask", 1, "worker_lost")] * 2)
    for untold in (1, 2):
        found = read(tally, retries=2 + untold)
        assert (found["retries", "worker_lost"], found["retries", OTHER]) == (2, untold)
    assert ("retries", OTHER) not in read(tally, retries=2)

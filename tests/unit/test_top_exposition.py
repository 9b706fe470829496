"""What the live view reads of the metrics."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool.cli.top.exposition import metrics_of
from pool.cli.top.histogram import Histogram
from pool.cli.top.reading import Metrics

TEXT = """\
# HELP workerpool_workers Workers by state.
# TYPE workerpool_workers gauge
workerpool_workers{pool="p",state="idle"} 3.0
# TYPE workerpool_oldest_pending_seconds gauge
workerpool_oldest_pending_seconds{pool="p"} 0.35
workerpool_oldest_pending_seconds{pool="another"} 99.0
workerpool_utilization_ratio{pool="p"} 0.625
workerpool_backoff_seconds{pool="p"} 1.5
workerpool_worker_resident_bytes{pool="p",slot="0"} 4.5e+07
workerpool_worker_resident_bytes{pool="p",slot="1"} 4.6e+07
workerpool_worker_resident_bytes{pool="p",slot="none"} 1
workerpool_worker_cpu_seconds_total{pool="p",slot="0"} 12.5
workerpool_calls_total{pool="p",command="a \\"b\\"\\n",outcome="ok"} 10.0
workerpool_calls_total{pool="p",command="a \\"b\\"\\n",outcome="error"} 2.0
workerpool_call_duration_seconds_bucket{pool="p",command="a",outcome="ok",le="0.1"} 5.0
workerpool_call_duration_seconds_bucket{pool="p",command="a",outcome="ok",le="+Inf"} 10.0
workerpool_call_duration_seconds_bucket{pool="p",command="a",outcome="error",le="0.1"} 1.0
workerpool_call_duration_seconds_bucket{pool="p",command="a",outcome="error",le="+Inf"} 2.0
workerpool_call_duration_seconds_sum{pool="p",command="a",outcome="ok"} 7.0
workerpool_call_duration_seconds_count{pool="p",command="a",outcome="ok"} 10.0
workerpool_checkout_wait_seconds_bucket{pool="p",le="0.5"} 4.0
workerpool_checkout_wait_seconds_bucket{pool="p",le="+Inf"} 4.0
workerpool_event_loop_lag_seconds_bucket{pool="p",le="0.5"} 3.0
workerpool_event_loop_lag_seconds_bucket{pool="p",le="+Inf"} 4.0
"""


def test_it_reads_what_is_shown_of_its_pool() -> None:
    assert metrics_of(TEXT, "p") == Metrics(
        oldest=0.35,
        utilization=0.625,
        backoff=1.5,
        resident={0: 4.5e7, 1: 4.6e7},
        cpu={0: 12.5},
        ended={('a "b"\n', "ok"): 10.0, ('a "b"\n', "error"): 2.0},
        durations={"a": Histogram((0.1, inf), (6.0, 12.0))},
        waits=Histogram((0.5, inf), (4.0, 4.0)),
        lags=Histogram((0.5, inf), (3.0, 4.0)),
    )


def test_another_pools_metrics_are_not_ours() -> None:
    assert metrics_of(TEXT, "third") == Metrics()
    assert metrics_of("", "p") == Metrics()


@pytest.mark.parametrize(
    "line",
    [
        'workerpool_utilization_ratio{pool="p"} much',
        'workerpool_utilization_ratio{pool="p"',
        "workerpool_utilization_ratio",
        'workerpool_checkout_wait_seconds_bucket{pool="p",le="wide"} 1',
    ],
)
def test_a_broken_line_is_said_to_be_one(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words are the parser's
        metrics_of(line, "p")


_NAMES = ("calls_total", "utilization_ratio", "call_duration_seconds_bucket")


@given(st.lists(st.tuples(st.sampled_from(_NAMES), st.text(printable, max_size=40)), max_size=5))
def test_any_text_is_read_or_refused(lines: list[tuple[str, str]]) -> None:
    text = "\n".join(f"workerpool_{name}{rest}" for name, rest in lines)
    with suppress(ValueError):
        metrics_of(text, "p")

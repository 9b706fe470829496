"""The metrics of one pool, out of the text that Prometheus would scrape. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pool.cli.top.histogram import Histogram, from_buckets
from pool.cli.top.reading import Metrics

_PREFIX = "workerpool_"
_READ = (
    *("oldest_pending_seconds", "utilization_ratio", "backoff_seconds"),
    *("worker_resident_bytes", "worker_cpu_seconds_total", "calls_total"),
    *("call_duration_seconds_bucket", "checkout_wait_seconds_bucket"),
    "event_loop_lag_seconds_bucket",
)
"""Of all that is there, without the prefix; the rest is not parsed, which takes some 10
microseconds a line."""

_Samples = dict[str, list[Sample]]


def metrics_of(text: str, pool: str) -> Metrics:
    """What the text says of the pool of that name. Raises `ValueError` if it cannot be read."""
    samples: _Samples = {name: [] for name in _READ}
    for sample in _parsed(text):
        name = sample.name.removeprefix(_PREFIX)
        if name in samples and sample.labels.get("pool") == pool:
            samples[name].append(sample)
    return Metrics(
        oldest=_one(samples["oldest_pending_seconds"]),
        utilization=_one(samples["utilization_ratio"]),
        backoff=_one(samples["backoff_seconds"]),
        resident=_by_slot(samples["worker_resident_bytes"]),
        cpu=_by_slot(samples["worker_cpu_seconds_total"]),
        ended=_ended(samples["calls_total"]),
        durations=_durations(samples["call_duration_seconds_bucket"]),
        waits=_histogram(samples["checkout_wait_seconds_bucket"]),
        lags=_histogram(samples["event_loop_lag_seconds_bucket"]),
    )


def _parsed(text: str) -> Iterator[Sample]:
    wanted = tuple(f"{_PREFIX}{name}" for name in _READ)
    lines = [line for line in text.split("\n") if line.startswith(wanted)]
    for family in text_string_to_metric_families("\n".join(lines)):
        yield from family.samples


def _one(samples: list[Sample]) -> float | None:
    return samples[0].value if samples else None


def _by_slot(samples: list[Sample]) -> dict[int, float]:
    slots = ((sample.labels.get("slot", ""), sample.value) for sample in samples)
    return {int(slot): value for slot, value in slots if slot.isdecimal()}


def _ended(samples: list[Sample]) -> dict[tuple[str, str], float]:
    return {_command(sample): sample.value for sample in samples}


def _command(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("command", ""), sample.labels.get("outcome", "")


def _durations(samples: list[Sample]) -> dict[str, Histogram]:
    """Those of all outcomes of a command together."""
    by_command: dict[str, list[Sample]] = {}
    for sample in samples:
        by_command.setdefault(sample.labels.get("command", ""), []).append(sample)
    added = {command: _histogram(some) for command, some in by_command.items()}
    return {command: histogram for command, histogram in added.items() if histogram is not None}


def _histogram(samples: list[Sample]) -> Histogram | None:
    """The sum over all labels but the bound."""
    buckets: dict[float, float] = {}
    for sample in samples:
        bound = float(sample.labels.get("le", inf))
        buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return from_buckets(buckets) if buckets else None

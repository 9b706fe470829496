"""The metrics of a pool: their names, and what each of them reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from pool.lifecycle import PoolState
from pool.stats import PoolStats
from pool.telemetry.histograms import Histogram
from pool.telemetry.tally import OTHER, Tally

PREFIX = "workerpool_"


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` is without the prefix and, for a counter, without `_total`.

    All have the label `pool` before these `labels`.
    """

    kind: str
    name: str
    help: str
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("info", "info", "The pool's version and how its workers are started."),
    Metric("stateset", "state", "Where the pool is in its life.", ("state",)),
    Metric("gauge", "workers", "Worker processes by what they are doing.", ("state",)),
    Metric("gauge", "workers_limit", "The pool's size."),
    Metric("gauge", "overflow_limit", "Workers there may be above the size, under load."),
    Metric("gauge", "queue_limit", "Checkouts that may wait at a time."),
    Metric("gauge", "pending_checkouts", "Checkouts that wait for a slot."),
    Metric("gauge", "oldest_pending_seconds", "How long the next checkout to be served waits."),
    Metric("gauge", "inflight_calls", "Calls without a reply yet, abandoned ones included."),
    Metric("counter", "checkouts", "Checkouts by how they went.", ("outcome",)),
    Metric("histogram", "checkout_wait_seconds", "Wait of a checkout for its slot, once over."),
    Metric("histogram", "checkout_held_seconds", "How long a checkout had its slot."),
    Metric("counter", "calls", "Calls by how they ended.", ("command", "outcome")),
    Metric(
        "histogram",
        "call_duration_seconds",
        "From the request until the call ended for its caller; a batch counts once.",
        ("command", "outcome"),
    ),
    Metric("histogram", "worker_compute_seconds", "Of a call, in the command.", ("command",)),
    Metric("histogram", "request_bytes", "Arguments of a call, or of a batch.", ("command",)),
    Metric("histogram", "response_bytes", "Reply to a call, or to a batch.", ("command",)),
    Metric("counter", "stream_items", "Items of streams that have ended.", ("command",)),
    Metric("counter", "late_replies", "Replies that nobody waited for any more."),
    Metric("counter", "retries", "Calls made again, by what the one before met.", ("reason",)),
    Metric("counter", "worker_starts", "Starts of workers by how they went.", ("outcome",)),
    Metric("histogram", "worker_start_seconds", "Phases of a worker's start.", ("phase",)),
    Metric("counter", "worker_exits", "Ends of workers by their cause.", ("reason",)),
    Metric("histogram", "replacement_seconds", "From a worker's loss until another served."),
    Metric("gauge", "backoff_seconds", "Until workers may be started again."),
    Metric("gauge", "restarts_in_window", "Failed starts within the restart window."),
    Metric("counter", "environment_validations", "Validations by how they went.", ("outcome",)),
    Metric("counter", "pings", "Pings of idle workers by how they went.", ("outcome",)),
    Metric("histogram", "ping_seconds", "From a ping until its answer."),
    Metric("gauge", "worker_resident_bytes", "A worker's memory, shared included.", ("slot",)),
    Metric("counter", "worker_cpu_seconds", "Processor time of a slot's workers.", ("slot",)),
    Metric("gauge", "utilization_ratio", "Share of the slots of serving workers that is lent."),
    Metric("histogram", "event_loop_lag_seconds", "How late the event loop came to a timer."),
)

WORKER_STATES = ("starting", "idle", "busy", "spare", "abandoned", "stopping")
CHECKOUT_OUTCOMES = ("ok", "timeout", "shed", "cancelled", "closed", "failed")
CALL_OUTCOMES = ("ok", "error", "timeout", "cancelled", "worker_lost", "protocol")
START_OUTCOMES = ("ok", "failed", "cancelled")
EXIT_REASONS = (
    *("crash", "signal", "oom", "start", "recycled_calls", "recycled_age", "recycled_memory"),
    *("idle", "unwanted", "reload", "template_lost"),
    *("timeout", "cancel", "ping", "protocol", "drain"),
)
RETRY_REASONS = ("worker_lost", "protocol")
OUTCOMES = ("ok", "failed")

Labels = tuple[str, ...]
Reading = tuple[str, Labels, float | Histogram]
"""A metric's name, the values of its labels, and what it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A pool at one moment: its stats, what its events add up to, what its workers use.

    `resident` has bytes and `cpu` seconds by seat.
    """

    stats: PoolStats
    tally: Tally
    resident: Mapping[int, int] = field(default_factory=dict)
    cpu: Mapping[int, float] = field(default_factory=dict)


def readings(picture: Picture) -> Iterator[Reading]:
    """All values of all metrics but the info."""
    stats, tally = picture.stats, picture.tally
    yield from _gauges(stats)
    yield from _checkouts_and_calls(stats, tally)
    yield from _workers(stats, tally)
    yield from _by("worker_resident_bytes", picture.resident)
    yield from _by("worker_cpu_seconds", picture.cpu)


def _gauges(stats: PoolStats) -> Iterator[Reading]:
    for state in PoolState:
        yield "state", (state.value,), float(stats.state is state)
    for name in WORKER_STATES:
        yield "workers", (name,), getattr(stats, name)
    yield "workers_limit", (), stats.size
    yield "overflow_limit", (), stats.overflow
    yield "queue_limit", (), inf if stats.max_waiting is None else stats.max_waiting
    yield "pending_checkouts", (), stats.waiting
    yield "oldest_pending_seconds", (), stats.oldest_waiting
    yield "inflight_calls", (), stats.inflight_calls
    yield "backoff_seconds", (), stats.backoff
    yield "restarts_in_window", (), stats.restarts_in_window
    yield "utilization_ratio", (), stats.busy_slots / stats.slots if stats.slots else 0.0


def _checkouts_and_calls(stats: PoolStats, tally: Tally) -> Iterator[Reading]:
    yield from _by("checkouts", _with_zeros(stats.checkouts, CHECKOUT_OUTCOMES))
    yield "checkout_wait_seconds", (), tally.waits
    yield "checkout_held_seconds", (), tally.held
    yield from _calls(stats, tally)
    yield from _by("call_duration_seconds", tally.durations)
    yield from _by("worker_compute_seconds", tally.compute)
    yield from _by("request_bytes", tally.request_bytes)
    yield from _by("response_bytes", tally.response_bytes)
    yield from _by("stream_items", tally.items)
    yield "late_replies", (), stats.late_replies
    untold = stats.retries - tally.retries.total()
    retries = {**tally.retries, **({OTHER: untold} if untold > 0 else {})}
    yield from _by("retries", _with_zeros(retries, RETRY_REASONS))


def _calls(stats: PoolStats, tally: Tally) -> Iterator[Reading]:
    """All calls that the pool has counted.

    "other" has those, too, of which no event told: calls that were never sent, and
    those before anybody listened.
    """
    told = dict(tally.calls)
    for outcome in dict.fromkeys((*CALL_OUTCOMES, *stats.calls)):
        known = sum(count for (_, other), count in told.items() if other == outcome)
        untold = max(0, stats.calls.get(outcome, 0) - known)
        told[OTHER, outcome] = told.get((OTHER, outcome), 0) + untold
    yield from _by("calls", told)


def _workers(stats: PoolStats, tally: Tally) -> Iterator[Reading]:
    yield from _by("worker_starts", _with_zeros(stats.starts, START_OUTCOMES))
    yield from _by("worker_start_seconds", tally.starts)
    yield from _by("worker_exits", _with_zeros(stats.worker_exits, EXIT_REASONS))
    yield "replacement_seconds", (), tally.gaps
    yield from _by("environment_validations", _with_zeros(stats.validations, OUTCOMES))
    pings = {"ok": stats.pings.get("ok", 0), "timeout": stats.worker_exits.get("ping", 0)}
    yield from _by("pings", pings)
    yield "ping_seconds", (), tally.pings
    yield "event_loop_lag_seconds", (), tally.lags


def _with_zeros(counts: Mapping[str, int], known: Iterable[str]) -> dict[str, int]:
    """What has not happened yet is there too: a rate needs a value before the first one."""
    return {**dict.fromkeys(known, 0), **counts}


def _by(name: str, values: Mapping[Any, float | Histogram]) -> Iterator[Reading]:
    """A reading for each value, by its label, or its labels."""
    for labels, value in values.items():
        yield name, labels if isinstance(labels, tuple) else (str(labels),), value

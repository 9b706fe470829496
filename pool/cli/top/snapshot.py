"""What has changed between readings of a pool: rates, percentiles, history. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec import Struct

from pool.cli.top.histogram import Histogram
from pool.cli.top.reading import Metrics, Reading, is_of_another_life
from pool.stats import PoolStats, WorkerStats

WINDOW = 5.0
"""Seconds that rates and percentiles are of: the last reading is compared with the oldest that
is not older than this, or with the one before it."""

HISTORY = 240
"""Points that are remembered of throughput and queue."""

QUANTILES = (0.5, 0.95, 0.99)


class Times(Struct, frozen=True):
    """How often something was in the window, per second, and how long it took, in seconds.

    `failing` of `rate` had another outcome than "ok".
    """

    name: str
    rate: float
    failing: float
    p50: float | None
    p95: float | None
    p99: float | None


class WorkerRow(Struct, frozen=True):
    """One worker: `rate` in calls per second, `cpu` as a share of one processor."""

    stats: WorkerStats
    rate: float | None
    resident: float | None
    cpu: float | None


class Snapshot(Struct, frozen=True):
    """What there is to show of a pool.

    `window` is how many seconds rates and percentiles are of; without two readings
    of the same pool it is 0, and rates are not known. `exits` are those in the
    window, by reason. `throughput` (calls per second) and `queue` (checkouts that
    wait) have a point for each reading, the last one last.
    """

    stats: PoolStats
    metrics: Metrics
    lacking: str | None
    window: float
    checkouts: dict[str, float]
    calls: dict[str, float]
    exits: dict[str, int]
    commands: tuple[Times, ...]
    wait: Times | None
    lag: float | None
    workers: tuple[WorkerRow, ...]
    throughput: tuple[float, ...]
    queue: tuple[float, ...]


class Readings:
    """The readings of the window, and the history before them, in bounded memory."""

    def __init__(self) -> None:
        self._window: deque[Reading] = deque()
        self._throughput: deque[float] = deque(maxlen=HISTORY)
        self._queue: deque[float] = deque(maxlen=HISTORY)

    def add(self, reading: Reading) -> Snapshot:
        """Take in the next reading, and say what there is to show.

        A pool whose counts have fallen was opened anew: nothing is compared with
        what was read before.
        """
        window = self._window
        if window and is_of_another_life(reading, window[-1]):
            window.clear()
        window.append(reading)
        while len(window) > 2 and reading.at - window[0].at > WINDOW:
            window.popleft()
        self._remember()
        history = tuple(self._throughput), tuple(self._queue)
        return _snapshot(list(window), *history)

    def _remember(self) -> None:
        reading = self._window[-1]
        self._queue.append(reading.stats.waiting)
        for earlier, later in list(pairwise(self._window))[-1:]:
            rates = _rates(earlier.stats.calls, later.stats.calls, later.at - earlier.at)
            self._throughput.append(sum(rates.values()))


def _snapshot(
    window: list[Reading], throughput: tuple[float, ...], queue: tuple[float, ...]
) -> Snapshot:
    first, last = window[0], window[-1]
    seconds = last.at - first.at
    then, now = first.stats, last.stats
    return Snapshot(
        stats=now,
        metrics=last.metrics,
        lacking=last.lacking,
        window=seconds,
        checkouts=_rates(then.checkouts, now.checkouts, seconds),
        calls=_rates(then.calls, now.calls, seconds),
        exits=_new(then.worker_exits, now.worker_exits) if seconds else {},
        commands=tuple(_commands(first.metrics, last.metrics, seconds)),
        wait=_waits(first.metrics.waits, last.metrics.waits, seconds),
        lag=_quantile(first.metrics.lags, last.metrics.lags, 0.99),
        workers=tuple(_rows(window)),
        throughput=throughput,
        queue=queue,
    )


def _rates(then: Mapping[str, float], now: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Per second; nothing without a time to divide by."""
    if seconds <= 0:
        return {}
    return {name: (count - then.get(name, 0)) / seconds for name, count in now.items()}


def _new(then: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: count - then.get(name, 0) for name, count in now.items()}


def _commands(then: Metrics, now: Metrics, seconds: float) -> Iterator[Times]:
    """The commands that were called in the window, those called most first."""
    if seconds <= 0:
        return
    rates: dict[str, float] = {}
    failing: dict[str, float] = {}
    for (command, outcome), count in now.ended.items():
        rate = (count - then.ended.get((command, outcome), 0)) / seconds
        rates[command] = rates.get(command, 0) + rate
        failing[command] = failing.get(command, 0) + (rate if outcome != "ok" else 0)
    for command in sorted(rates, key=lambda command: (-rates[command], command)):
        if rates[command] > 0:
            durations = then.durations.get(command), now.durations.get(command)
            yield _times(command, rates[command], failing[command], *durations)


def _waits(then: Histogram | None, now: Histogram | None, seconds: float) -> Times | None:
    if now is None or seconds <= 0:
        return None
    return _times("", now.since(then).total / seconds, 0.0, then, now)


def _times(
    name: str, rate: float, failing: float, then: Histogram | None, now: Histogram | None
) -> Times:
    return Times(name, rate, failing, *(_quantile(then, now, q) for q in QUANTILES))


def _quantile(then: Histogram | None, now: Histogram | None, q: float) -> float | None:
    return None if now is None else now.since(then).quantile(q)


def _rows(window: list[Reading]) -> Iterator[WorkerRow]:
    last, seen = window[-1], _first_seen(window)
    for worker in sorted(last.stats.workers, key=lambda worker: worker.slot):
        first, was = seen[worker.name, worker.slot]
        seconds = last.at - first.at
        spent = first.metrics.cpu.get(worker.slot), last.metrics.cpu.get(worker.slot)
        yield WorkerRow(
            worker,
            _rate(was.calls, worker.calls, seconds),
            last.metrics.resident.get(worker.slot),
            _rate(*spent, seconds),
        )


def _first_seen(window: list[Reading]) -> dict[tuple[str, int], tuple[Reading, WorkerStats]]:
    """Where each worker is first in its slot, which may have been another's before."""
    seen: dict[tuple[str, int], tuple[Reading, WorkerStats]] = {}
    for reading in window:
        for worker in reading.stats.workers:
            seen.setdefault((worker.name, worker.slot), (reading, worker))
    return seen


def _rate(then: float | None, now: float | None, seconds: float) -> float | None:
    if now is None or then is None or seconds <= 0:
        return None
    return (now - then) / seconds

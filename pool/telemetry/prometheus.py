"""Pools as a collector of prometheus-client, for any registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from math import inf
from typing import Any, Protocol, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pool.errors import PoolClosed
from pool.lifecycle import PoolState
from pool.stats import PoolStats
from pool.telemetry.events import Event
from pool.telemetry.histograms import DURATIONS, SIZES, Histogram
from pool.telemetry.hub import Listener
from pool.telemetry.lag import LagWatch
from pool.telemetry.metrics import METRICS, PREFIX, Labels, Metric, Picture, readings
from pool.telemetry.processes import Seats, look_at
from pool.telemetry.tally import KINDS, Tally
from pool.version import VERSION

T = TypeVar("T")


class Observed(Protocol):
    """What is asked of a pool."""

    @property
    def name(self) -> str: ...

    def stats(self) -> PoolStats: ...

    def listen(self, listener: Listener, kinds: Iterable[type[Event]]) -> Callable[[], None]: ...

    def on_loop(self, look: Callable[[], T], timeout: float = ...) -> T: ...


class Synchronous(Protocol):
    @property
    def asynchronous(self) -> Observed: ...


class PoolCollector(Collector):
    """The metrics of one or more pools, told apart by the label `pool`.

    ::

        registry = CollectorRegistry()
        registry.register(PoolCollector(pool))

    It listens to the pools until `detach`. Made before a pool is opened it misses
    nothing; what went before it is in those counters that `stats()` has. `commands`
    bounds the label `command`: names, or how many of those that are called first;
    the rest is "other". It may be collected from any thread; that raises
    `TimeoutError` if a pool's event loop, in another one, is stuck for 5 s.

    Several pools in one registry share a collector: two would each write the
    heading of every metric, which a strict reader refuses.
    """

    def __init__(
        self, *pools: Observed | Synchronous, commands: int | Collection[str] = 50
    ) -> None:
        self._commands = commands
        self._watches: list[PoolWatch] = []
        for pool in pools:
            self.add(pool)

    def add(self, pool: Observed | Synchronous) -> None:
        """Collect from this pool too."""
        inner: Any = getattr(pool, "asynchronous", pool)
        self._watches.append(PoolWatch(inner, self._commands))

    def detach(self) -> None:
        """Listen no more; the figures stay as they are, but for those that `stats()` has."""
        for watch in self._watches:
            watch.stop()

    def describe(self) -> Iterator[Family]:
        """Nothing: what is registered before its pool is open has no values yet."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """All metrics at this moment. A pool that was never opened has none."""
        families = {metric.name: _family(metric) for metric in METRICS}
        for watch in self._watches:
            watch.write(families)
        yield from families.values()


class PoolWatch:
    """One pool, listened to and looked at."""

    def __init__(self, pool: Observed, commands: int | Collection[str]) -> None:
        self._pool = pool
        self._seats = Seats()
        self._lag: LagWatch | None = None
        self._tally = Tally(commands, is_open=False)
        self._leave = pool.on_loop(self._begin)

    def _begin(self) -> Callable[[], None]:
        with suppress(PoolClosed):
            self._tally.is_open = self._pool.stats().state is not PoolState.CLOSED
        self._see_to_lag()
        # One listener for all: what a hub has to sort out would cost more than it does to hear.
        return self._pool.listen(self._hear, KINDS)

    def _hear(self, events: Sequence[Event]) -> None:
        self._tally.add(events)
        self._see_to_lag()

    def _see_to_lag(self) -> None:
        """It is measured while the pool is open, since there is a loop then."""
        if self._tally.is_open and self._lag is None:
            self._lag = LagWatch(lambda seconds: self._tally.lags.add([seconds]))
        elif self._lag is not None and not self._tally.is_open:
            self._end_lag()

    def _end_lag(self) -> None:
        lag, self._lag = self._lag, None
        if lag is not None:
            lag.stop()

    def stop(self) -> None:
        """Listen no more."""

        def end() -> None:
            self._end_lag()
            self._leave()

        self._pool.on_loop(end)

    def write(self, families: dict[str, Family]) -> None:
        """Add this pool's values; on its loop, so that nothing changes meanwhile."""
        try:
            self._pool.on_loop(lambda: self._write(families))
        except PoolClosed:
            return  # it was never opened

    def _write(self, families: dict[str, Family]) -> None:
        stats = self._pool.stats()
        resident = look_at(stats.workers, self._seats)
        picture = Picture(stats, self._tally, resident, self._seats.totals())
        info = {"version": VERSION, "start_method": stats.start_method}
        families["info"].add_metric([stats.name], info)  # type: ignore[attr-defined]
        for name, labels, value in readings(picture):
            _add(families[name], (stats.name, *labels), value)


_FAMILIES: dict[str, Callable[..., Family]] = {
    "info": InfoMetricFamily,
    "stateset": StateSetMetricFamily,
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


_LE = {bound: floatToGoString(bound) for bound in (*DURATIONS, *SIZES, inf)}  # type: ignore[no-untyped-call]


def _family(metric: Metric) -> Family:
    name = PREFIX.removesuffix("_") if metric.kind == "info" else PREFIX + metric.name
    return _FAMILIES[metric.kind](name, metric.help, labels=("pool", *metric.labels))


def _add(family: Family, labels: Labels, value: float | Histogram) -> None:
    if isinstance(value, Histogram):
        assert isinstance(family, HistogramMetricFamily)
        buckets = [(_LE[bound], count) for bound, count in value.buckets()]
        family.add_metric(labels, buckets, value.sum)
    elif isinstance(family, StateSetMetricFamily):
        # OpenMetrics has the label of a state set named as the metric; readers like `state`.
        pool, state = labels
        names = {"pool": pool, "state": state, family.name: state}
        family.add_sample(family.name, names, value)
    else:
        assert isinstance(family, (GaugeMetricFamily, CounterMetricFamily))
        family.add_metric(labels, value)

"""Profiles a pool while it works: listens, looks at the system now and then, and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from time import thread_time
from typing import TYPE_CHECKING, Self

from pool.errors import PoolClosed
from pool.exchange.codec import Codec, Times
from pool.profile.book import Book
from pool.profile.report import Report
from pool.profile.thresholds import Thresholds
from pool.stats import PoolStats
from pool.telemetry.events import (
    CheckoutExpired,
    CheckoutShed,
    Event,
    TemplateLoaded,
    WorkerExited,
    WorkerStarted,
)
from pool.telemetry.hub import Hub
from pool.telemetry.lag import LagWatch
from pool.telemetry.tables import CallsFinished
from pool.usage import open_descriptors, own_usage, usage_of

if TYPE_CHECKING:
    from pool.pool import WorkerPool

KINDS: tuple[type[Event], ...] = (
    *(CallsFinished, CheckoutShed, CheckoutExpired),
    *(TemplateLoaded, WorkerStarted, WorkerExited),
)
"""What a profile is told of."""

BEAT = 0.02
"""Seconds between looks at how late the event loop is, and between snapshots in the beginning, when
much happens."""

SHARE = 0.01
"""Of the event loop's time that snapshots may take: many workers are looked at less often."""


def pause(elapsed: float, cost: float, interval: float) -> float:
    """Seconds until the next snapshot, where the last one took `cost` after so much time."""
    return max(min(interval, max(BEAT, elapsed / 20)), cost / SHARE)


class Profiler:
    """What a pool does and what it takes, from `start` to `stop`, or in the block of a `with`.

    ::

        async with WorkerPool("my_bridge:bridge") as pool:
            with pool.profile() as profile:
                ...
            print(as_text(profile.report()))

    Used on the pool's event loop. Its memory is bounded however long it goes on: see
    `pool.profile.book`. A call takes the parent 3 to 5 us more meanwhile.
    """

    def __init__(
        self,
        pool: WorkerPool,
        hub: Hub,
        codec: Codec,
        *,
        interval: float = 0.25,
        keep: int = 100,
        thresholds: Thresholds | None = None,
    ) -> None:
        if interval <= 0 or keep < 0:
            raise ValueError(f"interval={interval}, keep={keep}: above 0, and 0 at least")
        self._pool = pool
        self._hub = hub
        self._codec = codec
        self._interval = interval
        self._keep = keep
        self._thresholds = thresholds
        self._times = Times()
        self._lag: LagWatch | None = None
        self._begin()

    def _begin(self) -> None:
        now = asyncio.get_running_loop().time()
        self._ended_at: float | None = now
        self._began_at = now
        self._next_look = now
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._book = Book(now, self._keep, -inf if self._serves() else inf)

    def _serves(self) -> bool:
        """Whether a worker is ready already."""
        stats = self._stats()
        return stats is not None and stats.idle + stats.busy + stats.spare > 0

    def _stats(self) -> PoolStats | None:
        try:
            return self._pool.stats()
        except PoolClosed:  # not open yet
            return None

    # Life

    @property
    def is_on(self) -> bool:
        """Whether it listens."""
        return self._lag is not None

    def start(self) -> None:
        """Profile from now on, beside what is known already; without effect if it is on."""
        if self._lag is not None:
            return
        self._hub.listen(self._hear, KINDS)
        self._codec.time(self._times)
        self._ended_at = None
        self._look()
        self._lag = LagWatch(self._beat, BEAT)

    def stop(self) -> None:
        """Profile no more, and cost nothing; what is known stays. Without effect if it is off."""
        if self._lag is None:
            return
        self._lag.stop()
        self._lag = None
        self._hub.leave(self._hear)
        self._codec.leave(self._times)
        self._look()
        self._ended_at = self._now()

    def clear(self) -> None:
        """Forget what is known, and begin anew if it is on."""
        was_on = self.is_on
        self.stop()
        self._begin()
        if was_on:
            self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def report(self, thresholds: Thresholds | None = None) -> Report:
        """What is known so far, with its findings by these thresholds, or those it was made with.

        At any time, while it is on or after that.
        """
        if self.is_on:
            self._hub.flush()
            self._look()
        end = self._now() if self._ended_at is None else self._ended_at
        thresholds = thresholds or self._thresholds
        return self._book.report(end, self._pool.name, self._began, thresholds)

    # Listening and looking

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _hear(self, events: Sequence[Event]) -> None:
        self._book.hear(events)
        self._book.timed(self._times)

    def _beat(self, lag: float) -> None:
        self._book.lagged(lag)
        if self._now() >= self._next_look:
            self._look()

    def _look(self) -> None:
        """Take a snapshot, unless the pool is not open."""
        began = thread_time()  # without the time in which others had the processor
        stats, now = self._stats(), self._now()
        if stats is not None:
            self._book.timed(self._times)
            seen = {worker.name: usage_of(worker.pid) for worker in stats.workers if worker.pid}
            workers = {name: used for name, used in seen.items() if used is not None}
            self._book.sample(now, stats, own_usage(), workers, open_descriptors())
        cost = thread_time() - began
        self._next_look = now + pause(now - self._began_at, cost, self._interval)

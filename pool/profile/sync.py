"""A profiler for synchronous code: the same, on the pool's own loop."""

from __future__ import annotations

from functools import partial

from pool.profile.profiler import Profiler
from pool.profile.report import Report
from pool.profile.thresholds import Thresholds
from pool.sync.loop_thread import LoopThread


class SyncProfiler:
    """See `pool.profile.Profiler`. From any thread; `report` after the pool is closed, too."""

    def __init__(self, profiler: Profiler, loop: LoopThread) -> None:
        self._profiler = profiler
        self._loop = loop

    def start(self) -> None:
        """Profile from now on, beside what is known already."""
        self._loop.do(self._profiler.start)

    def stop(self) -> None:
        """Profile no more; what is known stays."""
        self._loop.do(self._profiler.stop)

    def clear(self) -> None:
        """Forget what is known."""
        self._loop.do(self._profiler.clear)

    def report(self, thresholds: Thresholds | None = None) -> Report:
        """What is known so far."""
        if self._profiler.is_on:
            return self._loop.do(partial(self._profiler.report, thresholds))
        return self._profiler.report(thresholds)

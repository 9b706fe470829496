"""How late the event loop comes to what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 0.25
"""Seconds between samples, if not told; one costs a timer of the loop, some 10 microseconds."""


class LagWatch:
    """Tells `hear` each sample's lag, in seconds, from when it is made until `stop`."""

    def __init__(self, hear: Callable[[float], None], interval: float = INTERVAL) -> None:
        self._hear = hear
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._set()

    def stop(self) -> None:
        """Take no more samples."""
        self._timer.cancel()

    def _set(self) -> None:
        self._due = self._loop.time() + self._interval
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._hear(max(0.0, self._loop.time() - self._due))
        self._set()

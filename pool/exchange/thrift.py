"""Gives memory back that was not used for a while."""

from __future__ import annotations

from collections.abc import Callable

from pool.clock import Alarm, Clock

LINGER = 1.0
"""Seconds without a large value after which the memory that they took is given back."""


class Thrift:
    """Calls `trim` once `used` was not called for `LINGER` seconds."""

    def __init__(self, clock: Clock, trim: Callable[[], None]) -> None:
        self._clock = clock
        self._trim = trim
        self._used_at = 0.0
        self._alarm: Alarm | None = None

    def used(self) -> None:
        """Something was sent or read."""
        self._used_at = self._clock.now()
        if self._alarm is None:
            self._alarm = self._clock.call_at(self._used_at + LINGER, self._look)

    def _look(self) -> None:
        self._alarm = None
        due = self._used_at + LINGER
        if self._clock.now() < due:
            self._alarm = self._clock.call_at(due, self._look)
        else:
            self._trim()

    def close(self) -> None:
        """Never call it any more."""
        if self._alarm is not None:
            self._alarm.cancel()

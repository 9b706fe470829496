"""How many calls go into one frame. Pure."""

from __future__ import annotations

TARGET = 0.005
"""Seconds that a batch is to take: long beside what a frame costs, short for who waits."""

MOST = 1024
"""Calls in one batch."""

MOST_BYTES = 256 * 1024
"""Bytes of arguments in one batch, from which on a frame costs next to nothing a call."""

GROWTH = 4
"""How many times larger than the last one a batch may be: one quick call says little."""

GAIN = 1 / 4
"""Weight of a new sample in the mean time of a call."""


class BatchSize:
    """The size of the next batch, from the time that the calls before took.

    It begins with calls of their own, and stays there for calls that take `TARGET`.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._last = 1
        self._mean: float | None = None

    @property
    def now(self) -> int:
        """Calls that the next batch is to have."""
        if self._mean is None:
            return 1
        fitting = int(TARGET / max(self._mean, TARGET / self._most))
        return max(1, min(fitting, self._last * GROWTH, self._most))

    def took(self, calls: int, seconds: float) -> None:
        """So many calls in one frame took so long."""
        each = seconds / calls
        self._mean = each if self._mean is None else self._mean + GAIN * (each - self._mean)
        self._last = calls

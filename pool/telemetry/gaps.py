"""How long capacity was missing after each loss of a worker. Pure."""

from __future__ import annotations

from collections import deque

MOST = 1_000
"""Losses that are remembered at a time; of more the oldest are forgotten."""


class Gaps:
    """Pairs each worker that comes into service with the loss that has waited longest for one."""

    def __init__(self) -> None:
        self._lost: deque[float] = deque(maxlen=MOST)

    def lost(self, now: float) -> None:
        """A worker in service is gone."""
        self._lost.append(now)

    def filled(self, now: float) -> float | None:
        """A worker has come into service: return the seconds since the loss it makes good."""
        return now - self._lost.popleft() if self._lost else None

    def forget(self) -> None:
        """Another number of workers is wanted: who was lost need not be missing any more."""
        self._lost.clear()

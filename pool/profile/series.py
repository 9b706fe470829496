"""A series of any length in bounded memory: when it is full, it keeps every other point. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Series(Generic[T]):
    """Points in the order of time, evenly spread over all that were added.

    `merge(earlier, later)` makes one point of two neighbours. The last point added
    is always in the last of `points`, which are `limit` and one more at most.
    """

    __slots__ = ("_limit", "_merge", "_points", "_stride", "_under_way", "_waiting")

    def __init__(self, limit: int, merge: Callable[[T, T], T]) -> None:
        if limit < 2 or limit % 2:
            raise ValueError(f"a series of {limit} points: an even number is needed")
        self._limit = limit
        self._merge = merge
        self._points: list[T] = []
        self._stride = 1
        self._under_way = 0
        self._waiting: T | None = None

    def add(self, point: T) -> None:
        """Add a point, later than all others."""
        if self._waiting is not None:
            point = self._merge(self._waiting, point)
        self._under_way += 1
        if self._under_way < self._stride:
            self._waiting = point
            return
        self._waiting, self._under_way = None, 0
        if len(self._points) < self._limit:
            self._points.append(point)
            return
        self._halve()
        # It is the first half of what is one point from here on.
        self._waiting, self._under_way = point, self._stride // 2

    def _halve(self) -> None:
        pairs = zip(self._points[::2], self._points[1::2], strict=True)
        self._points = [self._merge(*pair) for pair in pairs]
        self._stride *= 2

    @property
    def points(self) -> list[T]:
        """All that are kept, in order."""
        return self._points if self._waiting is None else [*self._points, self._waiting]


def later(earlier: T, later: T) -> T:
    """The merge that keeps the later of two points."""
    return later

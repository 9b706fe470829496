"""Results and items as plain iterators, fetched from the loop's thread many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from pool.dataset.batch import Failed
from pool.dataset.results import Results
from pool.stream import Items
from pool.sync.loop_thread import LoopThread

_NONE = object()


class SyncItems:
    """The items of one stream: see `Items`. Read by one thread."""

    def __init__(self, items: Items, loop: LoopThread) -> None:
        self._items = items
        self._loop = loop
        self._here: Iterator[Any] = iter(())

    @property
    def result(self) -> Any:
        """What the command returned after the last item."""
        return self._items.result

    def __iter__(self) -> SyncItems:
        return self

    def __next__(self) -> Any:
        """Return the next item; raises what an asynchronous stream raises."""
        outcome = next(self._here, _NONE)
        if outcome is _NONE:
            self._here = iter(self._loop.call(self._items.take))
            outcome = next(self._here)
        if outcome.__class__ is Failed:
            raise outcome.error
        return outcome


class SyncResults:
    """One result for each item of a map: see `Results`. Read by one thread.

    `index` is the place, counted from 0, of the item whose result came last.
    """

    index = -1

    def __init__(self, results: Results, loop: LoopThread, return_exceptions: bool) -> None:
        self._results = results
        self._loop = loop
        self._return_exceptions = return_exceptions
        self._runs: deque[tuple[int, list[Any]]] = deque()
        self._here: Iterator[Any] = iter(())

    def __iter__(self) -> SyncResults:
        return self

    def __next__(self) -> Any:
        """Return the next result; raises what an asynchronous map raises."""
        outcome = next(self._here, _NONE)
        if outcome is _NONE:
            self._turn_over()
            outcome = next(self._here)
        self.index += 1
        if outcome.__class__ is not Failed:
            return outcome
        if self._return_exceptions:
            return outcome.error
        raise outcome.error

    def _turn_over(self) -> None:
        """Go on to the next run, if there is one: fetch all that are there when none is here."""
        if not self._runs:
            self._runs.extend(self._loop.call(self._results.take))
        if self._runs:
            start, outcomes = self._runs.popleft()
            self.index, self._here = start - 1, iter(outcomes)

"""The items of a dataset, taken in their order by several tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice


class Source:
    """Hands out items with the place of the first of them. What the iterator raises is raised."""

    def __init__(self, items: Iterable[object] | AsyncIterable[object]) -> None:
        self._now: Iterator[object] | None = None
        self._later: AsyncIterator[object] | None = None
        if isinstance(items, AsyncIterable):
            self._later = aiter(items)
        else:
            self._now = iter(items)
        self._turn = asyncio.Lock()
        self._next = 0
        self._error: BaseException | None = None
        self._is_over = False

    @property
    def is_slow(self) -> bool:
        """Whether items may have to be waited for: then they are taken one by one."""
        return self._later is not None

    async def take(self, count: int) -> tuple[int, list[object]]:
        """The next items, at most `count`; none at the end."""
        start = self._next
        if self._now is not None:
            items = [] if self._is_over else self._take_now(self._now, count)
        else:
            # An asynchronous iterator is asked by one task at a time.
            async with self._turn:
                start = self._next
                items = [] if self._is_over else await self._take_later()
        self._next += len(items)
        self._is_over = not items
        return start, items

    def _take_now(self, items: Iterator[object], count: int) -> list[object]:
        """What comes before an error is taken; the error is raised when more is asked for."""
        if self._error is not None:
            self._is_over = True
            raise self._error
        taken: list[object] = []
        try:
            taken.extend(islice(items, count))
        except BaseException as error:
            self._error = error
            if not taken:
                return self._take_now(items, count)
        return taken

    async def _take_later(self) -> list[object]:
        assert self._later is not None
        try:
            return [await anext(self._later)]
        except StopAsyncIteration:
            return []
        except BaseException:
            self._is_over = True
            raise

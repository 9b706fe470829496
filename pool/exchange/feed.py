"""A call in flight whose result comes in items, ahead of its reply."""

from __future__ import annotations

from collections import deque
from typing import Any

from msgspec import Raw

from bridge.messages import Reply
from pool.exchange.inflight import Call
from pool.exchange.wait import Wait

WINDOW = 256
"""Items that may be under way or wait to be taken; when half of them are taken more may come."""


class Feed(Call):
    """Keeps what has come until the one task that reads it takes it, in order.

    `items` are those that were not taken, undecoded. Whatever ends the call
    ends it after the items that came before.
    """

    is_typical = False
    _more: Wait[None] | None = None

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.items: deque[Raw] = deque()

    async def more(self) -> None:
        """Return when there is an item, or there will be none any more."""
        if not self.items and not self.is_done:
            self._more = Wait(self._loop)
            try:
                await self._more
            finally:
                self._more = None  # cancelled, it would be woken where it waits for something else

    def take(self, reply: Reply) -> bool:
        self.items.append(reply.data)
        self.items_seen += 1
        has_room = len(self.items) <= WINDOW
        # Who was cancelled in this step has ended the wait, and not come to know it.
        if self._more is not None and not self._more.is_done:
            self._more.resume(None)
        return has_room

    def resume(self, value: Reply) -> None:
        self._value, self.is_done = value, True
        self._end()

    def fail(self, error: BaseException) -> None:
        self._error, self.is_done = error, True
        self._end()

    def _end(self) -> None:
        if self._more is not None and not self._more.is_done:
            self._more.resume_soon(None)

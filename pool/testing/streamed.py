"""A call whose result a scripted child gives item by item."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from pool.testing.script import Request
from pool.testing.work import Work, fail

if TYPE_CHECKING:
    from pool.testing.child import Child

_NOTHING = object()


class Streamed(Work):
    """Takes `pause` seconds for each item, and sends it when there is credit and the pool reads.

    Like our own bridges it makes the next item before it looks whether it may send it.
    """

    def __init__(
        self,
        child: Child,
        request: Request,
        items: Generator[object, Any, Any],
        pause: float,
        credit: int | None,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(child, request, on_end)
        self._items = items
        self._pause = pause
        self._credit = credit
        self._next: object = _NOTHING
        self._sent = 0

    def go_on(self) -> None:
        while not self.is_over and not self.waits:
            if self._next is not _NOTHING:
                if not self._may_send():
                    return
                self._send()
            elif self._pause:
                self.later(self._pause, self._make_and_go_on)
            else:
                self._make()

    def grant(self, items: int) -> None:
        """So many more may be sent."""
        if self._credit is not None:
            self._credit += items
        self.go_on()

    def fail(self, error: BaseException) -> None:
        self._items.close()
        fail(self.child, self.request, error)

    def _make_and_go_on(self) -> None:
        self._make()
        self.go_on()

    def _make(self) -> None:
        try:
            self._next = next(self._items)
        except StopIteration:
            self.child.reply(self.request.id, {"items": self._sent})
            self.end()
        except Exception as error:
            self.fail(error)
            self.end()

    def _may_send(self) -> bool:
        """Whether it may send now; if the pool does not read, it goes on when it does."""
        if self._credit is not None and self._sent >= self._credit:
            return False
        if self.child.is_blocked:
            self.child.when_read(self.go_on)
            return False
        return True

    def _send(self) -> None:
        self.child.item(self.request.id, self._next)
        self._sent += 1
        self._next = _NOTHING

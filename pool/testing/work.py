"""What a scripted child does about one request, from its beginning to the reply."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from pool.testing.script import Request

if TYPE_CHECKING:
    from pool.testing.child import Child


class Work(ABC):
    """It is over once, when it has answered or was stopped; then nothing of it happens any more.

    `on_end` is called right after the reply.
    """

    def __init__(self, child: Child, request: Request, on_end: Callable[[], None]) -> None:
        self.child = child
        self.request = request
        self.is_over = False
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def go_on(self) -> None:
        """Begin, or go on as far as it may."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Send the reply of work that ends with an error."""

    def cancel(self) -> None:
        """End it, with a reply that says so."""
        if not self.is_over:
            self.fail(asyncio.CancelledError())
            self.end()

    def stop(self) -> None:
        """End it without a reply."""
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """It has answered."""
        self.stop()
        self._on_end()

    @property
    def waits(self) -> bool:
        """Whether it goes on by itself, in time."""
        return self._timer is not None

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds, if it is not over then."""

        def act() -> None:
            self._timer = None
            if not self.is_over:
                action()

        self._timer = self.child.later(seconds, act)


class Single(Work):
    """A call that is answered after `seconds`, by `answer`."""

    def __init__(
        self,
        child: Child,
        request: Request,
        seconds: float,
        answer: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(child, request, on_end)
        self._seconds = seconds
        self._answer = answer

    def go_on(self) -> None:
        self.later(self._seconds, self._finish)

    def fail(self, error: BaseException) -> None:
        fail(self.child, self.request, error)

    def _finish(self) -> None:
        self._answer()
        self.end()


def fail(child: Child, request: Request, error: BaseException) -> None:
    """Answer that a call failed."""
    child.fail(request.id, str(error), error_type=error_type(error))


def error_type(error: BaseException) -> str:
    """What our bridges call it."""
    return "Cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__

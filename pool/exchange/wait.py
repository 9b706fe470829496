"""Waiting for one thing: a future for one task, which goes on as soon as the thing is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Wait(Generic[T]):
    """Awaited by one task at most, and done once: by `resume`, `fail` or cancellation.

    It does what `asyncio.Task` asks of a future (see `asyncio.isfuture`) with one
    difference: `resume` lets the task go on before it returns, where no other
    task runs, and not a turn of the loop later. So it is the last thing to do in a step.
    """

    # Defaults of the class: most of them are never set on an instance.
    _asyncio_future_blocking = False
    _wake: Callable[[Wait[T]], object] | None = None
    _context: Context | None = None
    _value: T
    _error: BaseException | None = None
    is_done = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __await__(self) -> Generator[Any, None, T]:
        if not self.is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    # For whoever has the thing

    def resume(self, value: T) -> None:
        """It is there: the task goes on with it, now if that is possible."""
        self._value = value
        self.is_done = True
        wake = self._wake
        if wake is None:
            return
        if asyncio.current_task(self._loop) is None:
            assert self._context is not None
            self._context.run(wake, self)
        else:
            self._wake_soon()

    def resume_soon(self, value: T) -> None:
        """It is there: the task goes on with it in the next turn."""
        self._value = value
        self.is_done = True
        self._wake_soon()

    def fail(self, error: BaseException) -> None:
        """It will not be there: `error` is raised where it is awaited, in the next turn."""
        self._error = error
        self.is_done = True
        self._wake_soon()

    def _wake_soon(self) -> None:
        if self._wake is not None:
            self._loop.call_soon(self._wake, self, context=self._context)

    # For `asyncio.Task`

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def done(self) -> bool:
        return self.is_done

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value

    def add_done_callback(
        self, wake: Callable[[Wait[T]], object], *, context: Context | None = None
    ) -> None:
        """Have the task woken; it asks for that once, when it begins to wait."""
        self._wake, self._context = wake, context

    def cancel(self, msg: object = None) -> bool:
        """End the wait of a task that is cancelled; False if it has ended already."""
        if self.is_done:
            return False
        self.fail(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True

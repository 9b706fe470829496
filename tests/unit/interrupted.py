"""Cancels a coroutine at a suspension point of one's choice, in either of two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Literal, TypeVar

T = TypeVar("T")

When = Literal["waiting", "woken"]
"""While it waits at that point; or in the very step in which what it waits for comes."""


class Interrupted:
    """Runs a coroutine in a task of its own and cancels it at its suspension point number `at`.

    Points count from 1. `was_struck` tells whether it came so far.
    """

    def __init__(self, at: int, when: When) -> None:
        self._at = at
        self._when = when
        self._points = 0
        self._task: asyncio.Task[Any] | None = None
        self.was_struck = False

    async def run(self, driven: Coroutine[Any, Any, T]) -> T:
        """Its result, or `CancelledError`."""
        task = asyncio.ensure_future(self._drive(driven))
        self._task = task
        return await task

    @coroutine
    def _drive(self, driven: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what the coroutine waits for, and count."""
        step: Callable[[Any], Any] = driven.send
        value: Any = None
        while True:
            try:
                waited_for = step(value)
            except StopIteration as end:
                result: T = end.value
                return result
            self._points += 1
            if self._points == self._at:
                self._strike(waited_for)
            try:
                step, value = driven.send, (yield waited_for)
            except BaseException as error:
                step, value = driven.throw, error

    def _strike(self, waited_for: asyncio.Future[Any] | None) -> None:
        assert self._task is not None
        self.was_struck = True
        if self._when == "woken" and waited_for is not None:
            # Before the task's own callback, which is not added yet.
            waited_for.add_done_callback(self._cancel)
        else:
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self, _: object = None) -> None:
        assert self._task is not None
        self._task.cancel()

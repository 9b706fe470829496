"""SIGINT and SIGTERM: the first one ends a run in order, a second one at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The run is to end."""


class Interruption:
    """Inside of it a signal, which `signal` tells, raises `Interrupted` wherever this thread is.

    While an event loop runs, in `held`, it cancels the task that was named instead.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._is_held = False
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._arrived) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is raised inside: what comes before a task is named, or after it, waits."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self.signal is not None:
            raise Interrupted

    def cancels(self, task: asyncio.Task[Any] | None) -> None:
        """Name the task that is to be cancelled from here on; with None, nothing is."""
        self._task = task
        if task is not None and self.signal is not None:
            task.cancel()

    def _arrived(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        elif not self._is_held:
            raise Interrupted

"""SIGINT and SIGTERM: the first one ends a run in order, a second one at once."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run is to end; of this kind, because an event loop lets it through."""


class Interruption:
    """`with` it, what runs on this thread is ended by a signal: `signal` is which.

    Raises `Interrupted` from wherever that is; a task that it was told of is cancelled instead.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._arrived) for each in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def cancels(self, task: asyncio.Task[Any] | None) -> None:
        """From here on it cancels this task; with None, it raises again."""
        self._task = task

    def _arrived(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._task is None:
            raise Interrupted
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)

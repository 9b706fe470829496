"""SIGINT and SIGTERM: the first one ends the load early, a second one the process at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[list[signal.Signals]]:
    """Call `end`, on the event loop, when a signal comes while the block runs.

    The list has the signal then. One that is ignored stays so, and outside of the main
    thread nothing is done.
    """
    came: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    def arrived(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number))
        restore()
        loop.call_soon_threadsafe(end)

    for each in SIGNALS:
        if signal.getsignal(each) not in (signal.SIG_IGN, None):
            before[each] = signal.signal(each, arrived)
    try:
        yield came
    finally:
        restore()

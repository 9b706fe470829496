"""How what runs hears what the pool says about it: a cancellation, more credit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """Of plain streams and batches."""

    def look(self, now: float) -> None:
        """Take note of what was said, if it is time to; `now` is an instant of the monotonic
        clock.
        """
        ...

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when that is true, or when nothing more can be said that would make it so."""
        ...


class LoopWatch:
    """Of what runs on the event loop, while somebody else reads the wire."""

    def __init__(self, hears: Callable[[], bool]) -> None:
        self._hears = hears
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Something was said, or nothing more will be."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when that is true, or when nothing more can be said that would make it so."""
        while not condition() and self._hears():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)


class ThreadWatch:
    """Of what runs on threads, while another one reads the wire."""

    def __init__(self, hears: Callable[[], bool]) -> None:
        self._hears = hears
        self._said = threading.Condition()

    def notify(self) -> None:
        """Something was said, or nothing more will be."""
        with self._said:
            self._said.notify_all()

    def look(self, now: float) -> None:
        """Nothing to do: it is noted as it comes."""

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._said:
            self._said.wait_for(lambda: condition() or not self._hears())

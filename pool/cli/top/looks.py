"""Looks at an endpoint again and again, so that who draws never waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import Self

from pool.cli.top.fetch import Unreadable
from pool.cli.top.reading import Reading

Look = Callable[[], Reading]

PATIENCE = 0.1
"""Seconds at the end for a look that is about to end; one that hangs is left behind."""


class Looks:
    """Looks every `interval` seconds, in a thread of its own.

    `fileno` becomes readable when there is news; `take` gives it, once.
    """

    def __init__(self, look: Look, interval: float) -> None:
        self._look = look
        self._interval = interval
        self._news: Reading | Unreadable | None = None
        self._over = Event()
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = Thread(target=self._go_on, name="bridgepool top", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # The descriptor stays with the thread: it may be in the middle of a look.
        self._over.set()
        self._thread.join(PATIENCE)

    def fileno(self) -> int:
        return self._told

    def take(self) -> Reading | Unreadable | None:
        """What the last look found, or why it found nothing; None if that was taken."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._told)
        news, self._news = self._news, None
        return news

    def _go_on(self) -> None:
        while not self._over.is_set():
            began = monotonic()
            try:
                self._news = self._look()
            except Unreadable as error:
                self._news = error
            os.eventfd_write(self._told, 1)
            self._over.wait(max(0.0, began + self._interval - monotonic()))
        os.close(self._told)

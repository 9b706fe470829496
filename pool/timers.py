"""Timers by name on the event loop: at most one of each, all of them cancelled together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._pending

    def set(self, name: str, when: float, action: Callable[[], None]) -> None:
        """Run `action` at the instant `when`, in place of any timer of that name."""
        self.cancel(name)
        self._pending[name] = self._loop.call_at(when, self._ring, name, action)

    def cancel(self, name: str) -> None:
        timer = self._pending.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cancel_all(self) -> None:
        for name in list(self._pending):
            self.cancel(name)

    def _ring(self, name: str, action: Callable[[], None]) -> None:
        del self._pending[name]
        action()

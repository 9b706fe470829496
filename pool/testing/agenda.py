"""What a scripted child does in time: later, not while it is stopped, never after its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVarTuple

from pool.testing.world import World

_Ts = TypeVarTuple("_Ts")


class Agenda:
    def __init__(self, world: World) -> None:
        self.is_stopped = False
        self._world = world
        self._has_ended = False
        self._planned: set[asyncio.TimerHandle] = set()
        self._postponed: list[Callable[[], object]] = []

    def later(
        self, seconds: float, action: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Plan something; a handle that is cancelled takes it off again."""

        def begin() -> None:
            self._planned.discard(handle)
            self._do(lambda: action(*args))

        handle = self._world.later(seconds, begin)
        self._planned.add(handle)
        return handle

    def _do(self, action: Callable[[], object]) -> None:
        if self.is_stopped:
            self._postponed.append(action)
        elif not self._has_ended:
            action()

    def stop(self) -> None:
        """Do nothing until `cont`."""
        self.is_stopped = True

    def cont(self) -> None:
        """Do what came up meanwhile, in that order; any of it may stop or end it again."""
        self.is_stopped = False
        while self._postponed and not self.is_stopped:
            self._postponed.pop(0)()

    def end(self) -> None:
        """Forget it all."""
        self._has_ended = True
        self.is_stopped = False
        self._postponed.clear()
        for handle in self._planned:
            handle.cancel()
        self._planned.clear()

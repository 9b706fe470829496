"""Where scripted children live: what happens there, and when it is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TypeVarTuple

from pool.testing.loop import VirtualLoop

_Ts = TypeVarTuple("_Ts")


class World:
    """Time on the running loop, and chance where there is a `random`.

    `lag` is how many seconds pass until one side notices what the other did.
    With a `random` it is drawn from none, one, two or three times `lag`: so few
    values that many things happen at the same instant. And what arrives is
    then read in pieces, with a probability of `cuts`.
    """

    def __init__(self, random: Random | None, lag: float, cuts: float) -> None:
        self._random = random
        self._lag = lag
        self._cuts = cuts

    def later(
        self, seconds: float, action: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Have something happen in so many seconds."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            return loop.outside_at(loop.time() + seconds, action, *args)
        return loop.call_later(seconds, action, *args)

    def lag(self) -> float:
        """Seconds until the next thing is noticed."""
        return self._lag if self._random is None else self._lag * self._random.randrange(4)

    def cut(self, length: int) -> int:
        """How many of so many bytes a read brings."""
        if self._random is None or length < 2 or self._random.random() >= self._cuts:
            return length
        return self._random.randrange(1, length)

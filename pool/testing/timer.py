"""Timers that are told apart where they are due at the same instant."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any


class Timer(asyncio.TimerHandle):
    """A timer that comes after those that were set earlier for the same instant."""

    __slots__ = ("number",)

    _scheduled: bool

    def __init__(
        self,
        when: float,
        number: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.number = number

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        assert isinstance(other, Timer)
        return (self.when(), self.number) < (other.when(), other.number)

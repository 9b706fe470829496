"""Errors of a run that does not end, and the story of who waits where."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import Any


class Stuck(RuntimeError):
    """A run in virtual time would never have ended."""


class Deadlock(Stuck):
    """Tasks wait, and nothing will ever happen any more."""


class Livelock(Stuck):
    """Things go on happening beyond the time or the number of turns allowed."""


class Bounds:
    """How much virtual time and how many turns may pass."""

    def __init__(self, seconds: float, turns: float, now: float) -> None:
        self._seconds = seconds
        self._turns = turns
        self.renew(now)

    def renew(self, now: float) -> None:
        """Allow as much again from now on."""
        self._ends_at = now + self._seconds
        self._turns_left = self._turns

    def count_turn(self, now: float) -> str | None:
        """Count one more; return, in words, what there was too much of."""
        self._turns_left -= 1
        if now > self._ends_at:
            return f"{self._seconds:g} virtual seconds"
        return f"{self._turns:g} turns" if self._turns_left < 0 else None


def who_waits(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """A line for each task: its name, and the frames from where it waits outwards."""
    lines = sorted(f"  {task.get_name()}: {_where(task)}" for task in tasks if not task.done())
    return "\n".join(lines) or "  no task is left"


def _where(task: asyncio.Task[Any]) -> str:
    frames = []
    waits: Any = task.get_coro()
    while (found := _frame_of(waits)) is not None:
        code, line, waits = found
        frames.append(f"{code.co_name} ({Path(code.co_filename).name}:{line})")
    return " < ".join(reversed(frames)) or repr(task.get_coro())


def _frame_of(awaited: Any) -> tuple[CodeType, int | None, Any] | None:
    """The code and line at which a coroutine or generator is suspended, and what it awaits."""
    for prefix, next_name in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
        frame = getattr(awaited, f"{prefix}_frame", None)
        if frame is not None:
            return frame.f_code, frame.f_lineno, getattr(awaited, next_name)
    return None

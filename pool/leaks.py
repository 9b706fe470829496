"""Reports a lease that is held too long, with the stack that took it."""

from __future__ import annotations

import sys
from functools import partial
from types import CodeType

from pool.clock import Alarm
from pool.supervisor import Supervisor

MAX_FRAMES = 20
"""Innermost frames kept of a stack."""

_HIDDEN = ("pool", "contextlib")
"""Packages whose frames say nothing about who took a lease: ours, and what enters a `with`."""

_LOOP = frozenset({"asyncio.base_events", "asyncio.events", "asyncio.runners"})
"""Modules that run a task; below them is who runs the loop, which is nobody's caller."""

Stack = tuple[tuple[CodeType, int], ...]
"""Code and line of frames, innermost first: no frame, and so nobody's variables, is kept alive."""


def take_stack() -> Stack:
    """Where this thread is now, in others' code. No file is read."""
    taken: list[tuple[CodeType, int]] = []
    frame = sys._getframe(1)
    while len(taken) < MAX_FRAMES:
        module = str(frame.f_globals.get("__name__"))
        if module in _LOOP:
            break
        if module.partition(".")[0] not in _HIDDEN:
            taken.append((frame.f_code, frame.f_lineno))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return tuple(taken)


def watch(supervisor: Supervisor, worker: str, stack: Stack) -> Alarm:
    """A lease begins: it is reported after `leak_threshold` unless the alarm is cancelled."""
    threshold = supervisor.config.leak_threshold
    assert threshold is not None
    since = supervisor.now()
    report = partial(_report, supervisor, worker, since, stack)
    return supervisor.clock.call_at(since + threshold, report)


def _report(supervisor: Supervisor, worker: str, since: float, stack: Stack) -> None:
    taken_at = "\n".join(_lines(stack)) or "  (the event loop's own call)"
    supervisor.chronicle.leaked(worker, supervisor.now() - since, taken_at)


def _lines(stack: Stack) -> list[str]:
    return [f"  {code.co_filename}:{line} {code.co_qualname}" for code, line in reversed(stack)]

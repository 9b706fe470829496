"""Commands that show what runs at the same time, and how a call ends that is not let finish."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from bridge import define

PATIENCE = 10.0
"""Seconds after which a call that meets nobody fails."""

_barriers: dict[int, threading.Barrier] = {}
_async_barriers: dict[int, asyncio.Barrier] = {}
_traces: list[str] = []


def meet(number: int) -> dict[str, str]:
    """Return when as many calls are here at the same time; say on which thread."""
    _barriers.setdefault(number, threading.Barrier(number)).wait(PATIENCE)
    return {"thread": threading.current_thread().name}


async def ameet(number: int) -> dict[str, str]:
    """`meet`, on the event loop."""
    async with asyncio.timeout(PATIENCE):
        await _async_barriers.setdefault(number, asyncio.Barrier(number)).wait()
    return {"thread": threading.current_thread().name}


def trail(n: int, delay: float = 0.0) -> Iterator[int]:
    """Stream `n` numbers, `delay` seconds after each; leave a trace at the end."""
    try:
        for i in range(n):
            yield i
            time.sleep(delay)
    finally:
        _leave_trace("trail")


async def atrail(n: int, delay: float = 0.0) -> AsyncIterator[int]:
    """`trail`, on the event loop."""
    try:
        for i in range(n):
            yield i
            await asyncio.sleep(delay)
    finally:
        _leave_trace("atrail")


async def arush(n: int) -> AsyncIterator[int]:
    """Stream `n` numbers, with never a pause."""
    for i in range(n):
        yield i


async def swallow(seconds: float) -> dict[str, bool]:
    """Say so, wait, and return in any case whether the wait was cancelled."""
    _say("waits")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return {"cancelled": True}
    return {"cancelled": False}


async def linger(seconds: float) -> None:
    """Say so, wait, and tidy up if cancelled, which takes a moment and leaves a trace."""
    _say("waits")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _say("tidies up")
        await asyncio.sleep(0.02)
        _leave_trace("linger")
        raise


async def acrash(status: int) -> None:
    """End the process by an exception in a task."""
    raise SystemExit(status)


def get_sigterm_elsewhere() -> None:
    """Have a thread of this process get SIGTERM, soon after this call."""
    threading.Timer(
        0.05, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    ).start()


def handle_sigusr1() -> None:
    """Count that signal from now on."""
    signal.signal(signal.SIGUSR1, lambda number, frame: _traces.append("SIGUSR1"))


async def ahandle_sigusr1() -> None:
    """`handle_sigusr1`, on the main thread in any case."""
    handle_sigusr1()


def cpu_time() -> dict[str, float]:
    """Say how many seconds of it this process has used."""
    return {"seconds": time.process_time()}


def make(key: str) -> None:
    """Define something."""
    define(key, {})


def _leave_trace(name: str) -> None:
    _traces.append(name)
    _say(f"{name} ends")


def _say(text: str) -> None:
    sys.stderr.write(f"faulty: {text}\n")  # in one piece, unlike `print` on several threads


def traces() -> dict[str, list[str]]:
    """The traces that were left."""
    return {"traces": _traces}


COMMANDS: tuple[Callable[..., object], ...] = (
    meet,
    ameet,
    trail,
    atrail,
    arush,
    swallow,
    linger,
    acrash,
    get_sigterm_elsewhere,
    handle_sigusr1,
    ahandle_sigusr1,
    cpu_time,
    make,
    traces,
)

"""Commands of every kind, with phases of their own, and what a call knows of its trace."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator

import msgspec

import bridge as ours
from bridge import Bridge, phase

bridge = Bridge()
outside = phase("outside")


@bridge.on_start
def start() -> None:
    """No command is in progress: the phase is nobody's."""
    with outside:
        time.sleep(0.02)


@bridge.command
def plain(seconds: float, times: int = 1) -> str:
    with phase("all"):
        for _ in range(times):
            with phase("part"):
                time.sleep(seconds)
    return "done"


@bridge.command
async def awaited(seconds: float, times: int = 1) -> str:
    with phase("all"):
        for _ in range(times):
            with phase("part"):
                await asyncio.sleep(seconds)
    return "done"


@bridge.command
def items(seconds: float, times: int = 1) -> Iterator[int]:
    with phase("all"):
        for i in range(times):
            with phase("part"):
                time.sleep(seconds)
            yield i


@bridge.command
async def aitems(seconds: float, times: int = 1) -> AsyncIterator[int]:
    with phase("all"):
        for i in range(times):
            with phase("part"):
                await asyncio.sleep(seconds)
            yield i


@bridge.command
async def in_threads(seconds: float, times: int = 1) -> str:
    """Side by side, each with the call's context."""

    def part() -> None:
        with phase("part"):
            time.sleep(seconds)

    with phase("all"):
        await asyncio.gather(*(asyncio.to_thread(part) for _ in range(times)))
    return "done"


@bridge.command
def in_a_thread_of_its_own() -> str:
    """Without the call's context: it is nobody's phase."""

    def part() -> None:
        with phase("part"):
            pass

    thread = threading.Thread(target=part)
    thread.start()
    thread.join()
    return "done"


@bridge.command
def fails(seconds: float) -> None:
    with phase("part"):
        time.sleep(seconds)
        raise ValueError("no luck")


@bridge.command
def fails_if(odd: int) -> int:
    with phase("part"):
        if odd % 2:
            raise ValueError("odd")
    return odd


@bridge.command
def silent() -> str:
    return "done"


@bridge.command
def many(n: int) -> str:
    """So many phases, and the first of them again."""
    for i in [*range(n), 0]:
        with phase(f"{i:03}" + "x" * 200):
            pass
    return "done"


@bridge.command
def trace() -> dict[str, str]:
    return ours.trace_context()


@bridge.command
async def atrace(seconds: float = 0.0) -> dict[str, str]:
    await asyncio.sleep(seconds)
    return ours.trace_context()


@bridge.command
def traces(n: int) -> Iterator[dict[str, str]]:
    for _ in range(n):
        yield ours.trace_context()


class Big(msgspec.Struct, weakref=True):
    text: str


class Gone:
    """Is made into JSON when the command has returned."""

    def __init__(self, big: Big) -> None:
        self._big = weakref.ref(big)

    def model_dump(self, mode: str) -> dict[str, bool]:
        return {"gone": self._big() is None}


@bridge.command
def forgets(big: Big) -> Gone:
    return Gone(big)


@bridge.command
async def aforgets(big: Big) -> Gone:
    return Gone(big)

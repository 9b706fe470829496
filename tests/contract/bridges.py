"""Bridges that the tests run in child processes."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import msgspec

from bridge import Bridge, current_session

kinds = Bridge()
_background: list[int] = []


class Options(msgspec.Struct):
    greeting: str = "none"


_started: list[str] = []


@kinds.on_start
async def start(options: Options) -> None:
    _started.append(options.greeting)
    _tasks.append(asyncio.create_task(_tick()))


_inherited: ContextVar[str] = ContextVar("inherited", default="nothing")


@kinds.on_start
def prepare() -> None:
    _inherited.set("from start-up")


@kinds.command
def inherited() -> dict[str, str]:
    return {"inherited": _inherited.get()}


@kinds.command
async def ainherited() -> dict[str, str]:
    return {"inherited": _inherited.get()}


_tasks: list[Any] = []


async def _tick() -> None:
    while True:
        await asyncio.sleep(0.001)
        _background.append(1)


@kinds.command
def started() -> dict[str, list[str]]:
    return {"started": _started}


@kinds.command
def where() -> dict[str, Any]:
    """Plain commands run on the main thread, with no loop turning around them."""
    return {
        "main": threading.current_thread() is threading.main_thread(),
        "own_loop": asyncio.run(_answer()),
    }


async def _answer() -> int:
    return 42


_adopted: list[str] = []


@kinds.on_define
def adopt(session: str, key: str, version: str, definition: Any) -> None:
    _adopted.append(f"{session}: {key}")


@kinds.command
def adopted() -> dict[str, list[str]]:
    return {"adopted": _adopted}


_loops: set[int] = set()


@kinds.command
async def loops() -> dict[str, int]:
    _loops.add(id(asyncio.get_running_loop()))
    return {"loops": len(_loops)}


@kinds.command
async def ticks() -> dict[str, int]:
    return {"ticks": len(_background)}


@kinds.command
async def letters(word: str) -> AsyncIterator[str]:
    for letter in word:
        await asyncio.sleep(0)
        if letter == "!":
            raise ValueError("no shouting")
        yield letter


@kinds.command
def scalar(value: Any) -> Any:
    return value


@kinds.command
def typed(kind: str) -> object:
    return {"list": list, "object": object}[kind]()


_growing: list[int] = []


@kinds.command
def growing() -> list[int]:
    _growing.append(len(_growing))
    return _growing


@kinds.command
def not_a_number() -> dict[str, float]:
    return {"nan": float("nan"), "inf": float("inf")}


@kinds.command
def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@kinds.command
def session() -> dict[str, str]:
    return {"session": current_session()}


@kinds.command
def read_stdin() -> dict[str, str]:
    return {"read": sys.stdin.read()}


@kinds.command
def run_child() -> dict[str, int]:
    done = subprocess.run(["sh", "-c", "echo from a child; cat"], check=False, timeout=10)
    return {"status": done.returncode}


@kinds.command
def nap(seconds: float) -> None:
    sys.stderr.write("napping\n")  # in one piece, unlike `print`
    time.sleep(seconds)


@kinds.command
async def anap(seconds: float) -> None:
    sys.stderr.write("napping\n")
    await asyncio.sleep(seconds)


@kinds.command
async def block(seconds: float) -> None:
    """Keep the loop from turning."""
    sys.stderr.write("napping\n")
    time.sleep(seconds)  # noqa: ASYNC251


@kinds.command
async def leave_stubborn_work() -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    _tasks.append(asyncio.create_task(stubborn()))
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    await asyncio.sleep(0)


@kinds.command
async def cancel_itself() -> None:
    raise asyncio.CancelledError


class Unexpected(BaseException):
    pass


@kinds.command
def interrupt() -> None:
    raise Unexpected("it is over")


@kinds.command
async def ainterrupt() -> None:
    raise Unexpected("it is over")


failing = Bridge()


@failing.on_start
def fail() -> None:
    raise RuntimeError("the weights are missing")

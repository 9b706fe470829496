"""The reference bridge: small commands for trying, testing and measuring a pool."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

from msgspec import Raw

from bridge import Bridge

bridge = Bridge()


@bridge.command
def echo(**args: Raw) -> dict[str, Raw]:
    """Return the arguments as they came."""
    return args


@bridge.command
async def aecho(**args: Raw) -> dict[str, Raw]:
    """`echo`, on the event loop."""
    return args


@bridge.command
def sleep(seconds: float) -> dict[str, float]:
    """Block for `seconds`, with the GIL released."""
    time.sleep(seconds)
    return {"slept": seconds}


@bridge.command
async def asleep(seconds: float) -> dict[str, float]:
    """`sleep`, on the event loop."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@bridge.command
def pid() -> dict[str, int]:
    """Say which process this is, and whose child."""
    return {"pid": os.getpid(), "ppid": os.getppid()}


@bridge.command
def fail(message: str) -> None:
    """Raise `ValueError(message)`."""
    raise ValueError(message)


@bridge.command
def count(n: int, delay: float = 0.0) -> Iterator[dict[str, int]]:
    """Stream `n` items, `delay` seconds before each."""
    for i in range(n):
        if delay:  # a sleep of nothing still takes 50 us: timerslack, prctl(2)
            time.sleep(delay)
        yield {"i": i}


@bridge.command
def blob(data: bytes) -> bytes:
    """Return `data`, which is base64 text on the wire."""
    return data

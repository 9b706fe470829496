"""A bridge whose commands show how they are called."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from msgspec import Raw

from bridge import Bridge

bridge = Bridge()
_at_once = 0
_most = 0


@bridge.command
def crash_once(path: str) -> str:
    """Die in the first call with a path, and return in the second."""
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return "alive"
    os._exit(3)


@bridge.command
async def together() -> int:
    """How many of these calls were on this worker at once, at most."""
    global _at_once, _most
    _at_once += 1
    _most = max(_most, _at_once)
    await asyncio.sleep(0.05)
    _at_once -= 1
    return _most


@bridge.command
def pretty() -> Any:
    """A result that spans lines."""
    return Raw(b'{\n  "text": "a\\nb",\n  "list": [1,\n 2]\n}')

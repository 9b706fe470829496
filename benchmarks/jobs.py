"""The work of the pools that run functions, by the names that contenders are started with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any


def echo(value: object) -> object:
    """Return `value`."""
    return value


def nap(seconds: float) -> tuple[int, float]:
    """Sleep; return who did and since when (`time.monotonic`, one clock for all processes)."""
    began = time.monotonic()
    time.sleep(seconds)
    return os.getpid(), began


JOBS: dict[str, Callable[[Any], Any]] = {"echo": echo, "nap": nap}

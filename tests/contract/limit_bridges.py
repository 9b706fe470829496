"""Bridges that tell what they may use, and use more."""

from __future__ import annotations

import os
import resource
from typing import Any

from bridge import Bridge

shows = Bridge()


@shows.command
def told() -> dict[str, Any]:
    return {
        "address_space": resource.getrlimit(resource.RLIMIT_AS),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "environment": dict(os.environ),
    }


@shows.command
def take(how: str) -> None:
    _WAYS[how]()


def _at_once() -> None:
    bytearray(1 << 40)


def _bit_by_bit() -> None:
    kept: list[bytes] = []
    while True:
        kept.append(bytes(100))


def _told_otherwise() -> None:
    kept: list[bytes] = []
    try:
        while True:
            kept.append(bytes(100))
    except MemoryError as error:
        raise LookupError("no room") from error


@shows.command
def open_files(count: int) -> int:
    files = [open(os.devnull) for _ in range(count)]  # noqa: SIM115, PTH123
    for file in files:
        file.close()
    return len(files)


_WAYS = {"at once": _at_once, "bit by bit": _bit_by_bit, "told otherwise": _told_otherwise}

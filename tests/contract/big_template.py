"""A bridge whose template is large, and whose workers may come to own as much."""

from __future__ import annotations

import resource
from pathlib import Path

from bridge import Bridge

bridge = Bridge()
_table = bytearray()

MEGABYTE = 1024 * 1024


@bridge.preload
def prepare() -> None:
    """A table of 150 MB, every page of it written."""
    _table.extend(b"x" * (150 * MEGABYTE))


@bridge.command
def size() -> int:
    """Resident bytes of this process, shared ones included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@bridge.command
def dirty(megabytes: int) -> None:
    """Write to so much of the table: those pages are this process's own from here on."""
    step = resource.getpagesize()
    for place in range(0, megabytes * MEGABYTE, step):
        _table[place] = 1

"""A bridge whose import takes 256 MiB of address space, and no memory."""

from __future__ import annotations

import mmap

from bridge import Bridge

bridge = Bridge()
table = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@bridge.command
def size() -> int:
    return len(table)

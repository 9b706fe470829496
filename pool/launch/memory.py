"""A process's own memory, from /proc (proc_pid_smaps(5))."""

from __future__ import annotations

import asyncio
from pathlib import Path

from anyio import to_thread

_OWN = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:", "Swap:")


async def private_memory_of(pid: int, exited: asyncio.Future[int | None]) -> int | None:
    """Bytes that only this process has, swapped-out ones included: not what it shares with
    its template. None if it has `exited`: then the number may be another's.
    """
    if exited.done():
        return None
    try:
        # In a thread: the kernel walks over all pages of the process meanwhile.
        size = await to_thread.run_sync(_read, pid)
    except OSError:
        return None
    return None if exited.done() else size


def _read(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_OWN))

"""What a pool's processes cost, memory and processor time; and keeping hold of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def descendants() -> list[int]:
    """All processes below this one."""
    return list(_below(os.getpid()))


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _below(int(child))


def memory(pids: list[int]) -> tuple[float, float]:
    """PSS and USS of these processes together, in MB of 10^6 bytes."""
    pss = uss = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    pss += int(line.split()[1])
                elif line.startswith("Private_"):
                    uss += int(line.split()[1])
    return pss * 1024 / 1e6, uss * 1024 / 1e6


def cpu_seconds() -> float:
    """Processor time of this process and all below it, reaped ones included."""
    ticks = 0
    for pid in [os.getpid(), *descendants()]:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICK


def cpu_ns(pid: int) -> int:
    """Processor time of a process with all its threads.

    The id of its clock is made as clock_getcpuclockid(3) does.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def pin(pid: int, processor: int) -> None:
    """Keep all threads of a process on one processor."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {processor})


def kill_marked(mark: str) -> None:
    """Kill all processes that have inherited this variable, until none is left."""
    while pids := list(_marked(mark.encode())):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # what is not our child cannot be waited for


def _marked(mark: bytes) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # A zombie has no environment.
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)

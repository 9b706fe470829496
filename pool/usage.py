"""What a process uses, from /proc (proc_pid_status(5), proc_pid_stat(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_SIZES = re.compile(rb"^VmHWM:\s+(\d+) kB\nVmRSS:\s+(\d+) kB$", re.MULTILINE)


class Usage(NamedTuple):
    """Bytes of a process, shared ones included, now and at the peak of its life, and its seconds
    of CPU so far.
    """

    resident: int
    peak: int
    cpu: float


def usage_of(pid: int) -> Usage | None:
    """What a process uses; None if it is gone.

    A number may be another's process by now, for as long as it takes to hear of an
    exit: one reading of a worker may then be wrong.
    """
    try:
        sizes = _SIZES.search(Path(f"/proc/{pid}/status").read_bytes())
        # The name, in parentheses, may hold anything: fields count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if sizes is None:  # a zombie has no memory
        return None
    peak, resident = (int(size) * 1024 for size in sizes.groups())
    return Usage(resident, peak, (int(fields[11]) + int(fields[12])) / _TICKS)


def own_usage() -> Usage:
    """What this process uses."""
    own = usage_of(os.getpid())
    assert own is not None
    return own


def open_descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # one reads the folder

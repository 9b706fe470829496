"""The memory of the running process, from /proc (proc(5))."""

from __future__ import annotations

import resource
from pathlib import Path


def memory_usage() -> dict[str, float]:
    """Resident and virtual bytes, and resident as a percentage of the machine's memory."""
    page = resource.getpagesize()
    pages = Path("/proc/self/statm").read_text().split()
    vms, rss = int(pages[0]) * page, int(pages[1]) * page
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {"rss": rss, "vms": vms, "percent": 100 * rss / (total_kib * 1024)}

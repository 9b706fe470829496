"""What the processes of workers use, from /proc (proc_pid_stat(5), proc_pid_statm(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pool.stats import WorkerStats

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes in memory, shared ones included, and seconds of processor time since the start."""

    resident: int
    cpu: float


def usage_of(pid: int) -> Usage | None:
    """What a process uses; None if it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        statm = (folder / "statm").read_text().split()
        # The name, in brackets, may hold anything: fields count from the last bracket.
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Usage(int(statm[1]) * _PAGE, (int(stat[11]) + int(stat[12])) / _TICK)


class Seats:
    """Processor time by seat, over all workers that had it one after the other.

    What a worker used since it was last looked at and before it ended is lost, so that
    the sums are too low rather than ever going down.
    """

    def __init__(self) -> None:
        self._before: dict[int, float] = {}
        self._last: dict[int, tuple[str, float]] = {}

    def see(self, seat: int, worker: str, cpu: float) -> None:
        """The worker that has the seat now has used so many seconds."""
        name, seconds = self._last.get(seat, (worker, 0.0))
        if name != worker:
            self._before[seat] = self._before.get(seat, 0.0) + seconds
        elif cpu < seconds:
            cpu = seconds
        self._last[seat] = (worker, cpu)

    def totals(self) -> dict[int, float]:
        """Seconds of each seat that anybody ever had."""
        return {
            seat: self._before.get(seat, 0.0) + seconds for seat, (_, seconds) in self._last.items()
        }


def look_at(workers: Iterable[WorkerStats], seats: Seats) -> dict[int, int]:
    """Note what these workers use; return their bytes in memory by seat."""
    resident = {}
    for worker in workers:
        usage = None if worker.pid is None else usage_of(worker.pid)
        if usage is not None:
            seats.see(worker.slot, worker.name, usage.cpu)
            resident[worker.slot] = usage.resident
    return resident

"""What the processes of workers use, by the places that they have."""

from __future__ import annotations

from collections.abc import Iterable

from pool.stats import WorkerStats
from pool.usage import usage_of


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

"""Who is there: the table of workers, and the counts that decisions are made from."""

from __future__ import annotations

from collections.abc import Iterator

from pool.capacity import Counts
from pool.lifecycle import WorkerState
from pool.worker import Worker


class Roster:
    """All workers that are not gone.

    A stand-in is a worker that is to take an old one's place: until it does it
    counts for nothing, since the old one still counts.
    """

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self._stand_ins: set[Worker] = set()

    def __iter__(self) -> Iterator[Worker]:
        """Over a copy: whoever is called on the way may end a worker."""
        return iter(list(self.workers.values()))

    def __len__(self) -> int:
        return len(self.workers)

    def add(self, worker: Worker, *, stands_in: bool) -> None:
        self.workers[worker.name] = worker
        if stands_in:
            self._stand_ins.add(worker)

    def remove(self, worker: Worker) -> None:
        del self.workers[worker.name]
        self._stand_ins.discard(worker)

    def stands_in(self, worker: Worker) -> bool:
        return worker in self._stand_ins

    def admit(self, worker: Worker) -> None:
        """A stand-in counts like any other from here on."""
        self._stand_ins.discard(worker)

    def spares(self) -> list[Worker]:
        """The workers that are ready and held back."""
        return [worker for worker in self if worker.is_spare and worker not in self._stand_ins]

    def counts(self, waiting: int, keep: int, floor: int, spares: int) -> Counts:
        """What there is now. Spares are wanted only where something serves."""
        starting = serving = busy = spare = abandoned = 0
        for worker in self.workers.values():
            if worker in self._stand_ins or worker.is_released:
                continue
            if worker.state is WorkerState.STARTING:
                starting += 1
            elif worker.is_spare:
                spare += 1
            elif worker.is_ready and worker.has_abandoned:
                abandoned += 1
            elif worker.is_ready:
                serving += 1
                busy += worker.is_busy
        reserve = spares if serving else 0
        return Counts(starting, serving, busy, waiting, spare, abandoned, keep, floor, reserve)

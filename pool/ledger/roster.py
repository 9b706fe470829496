"""Who is there: the table of workers, and the counts that decisions are made from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from pool.capacity import Counts
from pool.ledger.members import Member
from pool.lifecycle import WorkerState

W = TypeVar("W", bound=Member)


class Roster(Generic[W]):
    """All workers that are not gone, the oldest first."""

    def __init__(self) -> None:
        self._workers: dict[str, W] = {}

    def __iter__(self) -> Iterator[W]:
        """Over a copy: whoever is called on the way may end a worker."""
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def add(self, worker: W) -> None:
        self._workers[worker.name] = worker

    def remove(self, worker: W) -> None:
        del self._workers[worker.name]

    def spares(self) -> list[W]:
        """The workers that are ready and held back."""
        return [w for w in self if w.is_spare and not w.released]

    def due(self) -> list[W]:
        """The workers that are to be replaced and still serve."""
        return [worker for worker in self if worker.due and worker.serves]

    def counts(self, waiting: int, keep: int, floor: int, spares: int) -> Counts:
        """What there is now. Spares are wanted only where something serves."""
        starting = serving = slots = busy = spare = abandoned = 0
        for worker in self._workers.values():
            if worker.stands_in or worker.released:
                continue
            if worker.state is WorkerState.STARTING or worker.holds_its_place:
                starting += 1
            elif worker.is_spare:
                spare += 1
            elif worker.is_ready and worker.is_blocked:
                abandoned += 1
            elif worker.is_ready:
                serving += 1
                slots += worker.usable_slots
                busy += worker.busy_slots
        reserve = spares if serving else 0
        return Counts(
            starting, serving, slots, busy, waiting, spare, abandoned, keep, floor, reserve
        )

"""The workers with slots that nobody has, and which of them is used next. Pure."""

from __future__ import annotations

from typing import Generic, TypeVar

from pool.ledger.members import Member
from pool.slots import Slot

W = TypeVar("W", bound=Member)


class IdleSlots(Generic[W]):
    """Free slots, to be lent from the worker that has the fewest calls.

    Of several such workers the one that was used last comes first: warm ones
    work, the others may leave. A step takes the same time however many there are.
    """

    def __init__(self) -> None:
        # By how many slots of theirs are not free; each level is a stack, a dict for its removals.
        self._levels: list[dict[W, None]] = [{}]
        # No level below it has anybody.
        self._lowest = 0
        self._count = 0

    def __len__(self) -> int:
        """How many slots there are to be lent."""
        return self._count

    def put(self, slot: Slot[W]) -> None:
        """A slot is free."""
        worker = slot.worker
        free = worker.free
        if free:
            self._displace(worker)
        free.append(slot)
        self._count += 1
        self._place(worker, len(worker.slots) - len(free))

    def take(self) -> Slot[W] | None:
        """Take a slot; None if there is none."""
        if not self._count:
            return None
        while not self._levels[self._lowest]:
            self._lowest += 1
        worker, _ = self._levels[self._lowest].popitem()
        self._count -= 1
        slot = worker.free.pop()
        if worker.free:
            self._place(worker, self._lowest + 1)
        return slot

    def withdraw(self, worker: W) -> None:
        """Lend no slot of the worker any more."""
        if worker.free:
            self._displace(worker)
            self._count -= len(worker.free)
            worker.free.clear()

    def _place(self, worker: W, level: int) -> None:
        while level >= len(self._levels):
            self._levels.append({})
        self._levels[level][worker] = None
        if level < self._lowest:
            self._lowest = level

    def _displace(self, worker: W) -> None:
        del self._levels[len(worker.slots) - len(worker.free)][worker]

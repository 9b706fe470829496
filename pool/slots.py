"""One call's place on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pool.lifecycle import SLOT, SlotEvent, SlotState, WorkerState, advance

if TYPE_CHECKING:
    from pool.worker import Worker


class Slot:
    """What a checkout takes. It is free, lent, or abandoned with a call still on it."""

    __slots__ = ("lent_at", "state", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state = SlotState.FREE
        self.lent_at = 0.0

    def advance(self, event: SlotEvent) -> None:
        self.state = advance(SLOT, self.state, event)

    @property
    def usable(self) -> bool:
        """Whether its worker takes calls."""
        return self.worker.state is WorkerState.READY

"""One call's place on a worker."""

from __future__ import annotations

from typing import Generic, TypeVar

from pool.lifecycle import SLOT, SlotEvent, SlotState, advance

W = TypeVar("W")


class Slot(Generic[W]):
    """What a checkout takes. It is free, lent, or abandoned with a call still on it."""

    __slots__ = ("lent_at", "state", "worker")

    def __init__(self, worker: W) -> None:
        self.worker = worker
        self.state = SlotState.FREE
        self.lent_at = 0.0

    def advance(self, event: SlotEvent) -> None:
        self.state = advance(SLOT, self.state, event)

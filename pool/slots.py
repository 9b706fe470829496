"""One call's place on a worker."""

from __future__ import annotations

from typing import Generic, TypeVar

from pool.lifecycle import SLOT, SlotEvent, SlotState, advance

W_co = TypeVar("W_co", covariant=True)


class Slot(Generic[W_co]):
    """What a checkout takes. It is free, lent, or abandoned with a call still on it.

    `lent_at` is the instant at which the present checkout got it.
    """

    __slots__ = ("lent_at", "state", "worker")

    def __init__(self, worker: W_co) -> None:
        self.worker = worker
        self.state = SlotState.FREE
        self.lent_at = 0.0

    def advance(self, event: SlotEvent) -> None:
        self.state = advance(SLOT, self.state, event)

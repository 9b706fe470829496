"""One call's place on a worker."""

from __future__ import annotations

from typing import Generic, TypeVar

from pool.lifecycle import SLOT, SlotEvent, SlotState, advance

W_co = TypeVar("W_co", covariant=True)


class Slot(Generic[W_co]):
    """What a checkout takes. It is free, lent, or abandoned with a call still on it.

    `lent_at` is the instant at which the present checkout got it, `waited` the
    seconds that it waited for that. `tally` counts
    the slots of its worker by their state; they share it.
    """

    __slots__ = ("lent_at", "state", "tally", "waited", "worker")

    def __init__(self, worker: W_co, tally: dict[SlotState, int]) -> None:
        self.worker = worker
        self.state = SlotState.FREE
        self.lent_at = 0.0
        self.waited = 0.0
        self.tally = tally
        tally[SlotState.FREE] += 1

    def advance(self, event: SlotEvent) -> None:
        before, tally = self.state, self.tally
        try:
            after = SLOT[before, event]  # without a call of `advance`: twice in each call
        except KeyError:
            after = advance(SLOT, before, event)
        self.state = after
        tally[before] -= 1
        tally[after] += 1

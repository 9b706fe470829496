"""What is known of one worker, and decided about it, without its process. Pure."""

from __future__ import annotations

from typing import Self

from pool.ledger.recycling import Term
from pool.lifecycle import WORKER, SlotState, WorkerEvent, WorkerState, advance
from pool.restarts import EARLY_LOSS
from pool.slots import Slot
from pool.worker.postmortem import OF_ITSELF

_FAILURES = {"", "start", *OF_ITSELF}
"""Reasons of who went by itself; the empty one is not known in detail yet."""


class Member:
    """A worker as the decisions see it.

    `seat` is the least number that nobody else had when it was added to the others.
    `free` are those of its `slots` that can be lent now: a list for `IdleSlots`.
    `in_service` is set when its slots are lent, and not for a spare.
    `stands_in` marks one that is to take a due worker's place: until it does it
    counts for nothing, since the other still counts. `is_stuck`
    says that it does not end a call that was given up. `due` says why it is to
    be replaced, `released` why it goes as soon as its calls are finished,
    `reason` why it left, all in the words of the metric of worker exits.
    """

    slots: tuple[Slot[Self], ...]
    free: list[Slot[Self]]

    def __init__(self: Self, name: str, concurrency: int, term: Term, now: float) -> None:
        self.name = name
        self.seat = 0
        self.state = WorkerState.STARTING
        self._tally = dict.fromkeys(SlotState, 0)
        self.slots = tuple(Slot(self, self._tally) for _ in range(concurrency))
        self.free: list[Slot[Self]] = []
        self.term = term
        self.launched_at = now
        self.ready_at: float | None = None
        self.left_at = now
        self.last_active = now
        self.finished_calls = 0
        self.takes_batches = False
        self.in_service = False
        self.stands_in = False
        self.is_stuck = False
        self.due = ""
        self.released = ""
        self.released_at = 0.0
        self.reason = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.state.value}>"

    # Facts

    @property
    def is_there(self) -> bool:
        """Whether it works, or is on its way to it."""
        return self.state in (WorkerState.STARTING, WorkerState.READY)

    @property
    def is_ready(self) -> bool:
        """Whether it takes calls."""
        return self.state is WorkerState.READY

    @property
    def is_spare(self) -> bool:
        """Whether it could take calls and is held back."""
        return self.is_ready and not self.in_service

    @property
    def serves(self) -> bool:
        """Whether it can be relied on: ready, not on its way out, and not out of slots."""
        return self.is_ready and not self.released and not self.is_blocked

    @property
    def busy_slots(self) -> int:
        """How many of its slots are lent."""
        return self._tally[SlotState.BUSY]

    @property
    def usable_slots(self) -> int:
        """How many of its slots are lent, or could be."""
        return len(self.slots) - self._tally[SlotState.ABANDONED]

    @property
    def is_busy(self) -> bool:
        """Whether any of its slots is lent."""
        return self._tally[SlotState.BUSY] > 0

    @property
    def has_abandoned(self) -> bool:
        """Whether a call on it was given up and is not answered yet."""
        return self._tally[SlotState.ABANDONED] > 0

    @property
    def is_blocked(self) -> bool:
        """Whether calls that were given up have taken all of its slots."""
        return self._tally[SlotState.ABANDONED] == len(self.slots)

    @property
    def is_idle(self) -> bool:
        """Ready, and all of its slots free."""
        return self.is_ready and self._tally[SlotState.FREE] == len(self.slots)

    @property
    def failed_to_start(self) -> bool:
        """Whether it left before it was ready, or of itself within `EARLY_LOSS` with no work done.

        One that was asked to go, or killed for not answering, did not fail to start.
        """
        if self.reason not in _FAILURES:
            return False
        if self.ready_at is None:
            return True
        idled = not self.finished_calls and self.left_at - self.ready_at < EARLY_LOSS
        return idled and self.reason != "start"

    @property
    def holds_its_place(self) -> bool:
        """Whether it is not gone yet, and its end may turn out to be a failed start.

        Nothing is started in its place before that is known.
        """
        return self.state is WorkerState.KILLING and self.failed_to_start

    # Changes

    def handshaken(self, now: float) -> None:
        """It takes calls from here on."""
        self.state = advance(WORKER, self.state, WorkerEvent.HANDSHAKEN)
        self.ready_at = self.last_active = now

    def take_one_at_a_time(self: Self) -> None:
        """It cannot do more than that. Before any of its slots is lent."""
        self._tally.update(dict.fromkeys(SlotState, 0))
        self.slots = (Slot(self, self._tally),)

    def leave(self, event: WorkerEvent, reason: str, now: float) -> None:
        """It takes no calls from here on; `reason` is empty where its end will tell."""
        self.state = advance(WORKER, self.state, event)
        self.reason, self.left_at = reason, now

    def exited(self) -> None:
        """Its process is gone."""
        self.state = advance(WORKER, self.state, WorkerEvent.EXIT)

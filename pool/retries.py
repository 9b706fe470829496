"""Which lost calls are made again, and after what pause. Pure."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from pool.errors import BrokenWorkerError, ProtocolError

LostWorkerError = BrokenWorkerError | ProtocolError
"""What a call gets whose worker died, or was killed for what it sent."""

FIRST_PAUSE = 0.01
MAX_PAUSE = 1.0
"""Seconds, doubling from the first to the second, with jitter: replacements start at once."""


class RetryRule(Struct, frozen=True):
    """Which calls may be made again: those marked `idempotent`, `attempts` times in all."""

    idempotent: bool
    attempts: int

    def allows(self, error: LostWorkerError, lost: int) -> bool:
        """Whether a call that lost its worker for the `lost`th time may be made again.

        A request that never left whole cannot have been run, so it needs no mark.
        """
        unsent = isinstance(error, BrokenWorkerError) and not error.request_sent
        return lost < self.attempts and (self.idempotent or unsent)


def pause(lost: int, random: Random) -> float:
    """Seconds to wait after the `lost`th loss."""
    return min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** (lost - 1)) * random.uniform(0.5, 1.0)


def poisoned(error: LostWorkerError, command: str, lost: int) -> LostWorkerError:
    """The last loss of a call that is not made again, saying what it has cost."""
    if lost > 1:
        error.add_note(f"{command!r} has cost {lost} workers and is not made again: poison?")
    return error

"""When a worker that is well is replaced all the same: by calls, age and memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

JITTER = 0.1
"""Share of each limit by which a worker may be earlier: workers that were started together are
not to go together (HikariCP staggers its `maxLifetime` for the same reason)."""


@dataclass(frozen=True, slots=True)
class Term:
    """One worker's limits: finished calls, seconds since its launch, private bytes.

    None is no limit. They are limits to when it becomes due; it serves on
    until its replacement is ready.
    """

    calls: int | None = None
    age: float | None = None
    memory: int | None = None

    def jittered(self, random: Random) -> Term:
        """The same limits or somewhat lower ones, never higher."""
        return Term(
            None if self.calls is None else max(1, round(self.calls * _share(random))),
            None if self.age is None else self.age * _share(random),
            None if self.memory is None else round(self.memory * _share(random)),
        )

    def reason(self, calls: int, age: float, memory: int) -> str:
        """Why a worker is due, in the words of the metric of worker exits; empty if it is not."""
        if self.calls is not None and calls >= self.calls:
            return "recycled_calls"
        if self.age is not None and age >= self.age:
            return "recycled_age"
        if self.memory is not None and memory > self.memory:
            return "recycled_memory"
        return ""


def _share(random: Random) -> float:
    return random.uniform(1.0 - JITTER, 1.0)

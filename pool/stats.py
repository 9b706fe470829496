"""What the pool counts, and the frozen picture of it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pool.lifecycle import PoolState


@dataclass(slots=True)
class Counters:
    """Monotonic counts since the pool was opened. Outcomes and reasons are the metrics' words."""

    checkouts: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    worker_starts: int = 0
    failed_starts: int = 0
    worker_exits: Counter[str] = field(default_factory=Counter)
    replacements: int = 0
    late_replies: int = 0
    retries: int = 0
    validations: Counter[str] = field(default_factory=Counter)
    pings: Counter[str] = field(default_factory=Counter)
    leaks: int = 0


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """One worker at one moment.

    `generation` is that of the code it was launched with, None before it was;
    `age` is in seconds since its launch; `slot` is the least number that no other
    worker had when it was added.
    """

    name: str
    pid: int | None
    generation: int | None
    state: str
    calls: int
    age: float
    slot: int


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The pool at one moment.

    `start_method` is how workers are started in fact; `generation` counts the
    templates (with "spawn": the validations) that workers came from so far.
    `total` workers are `starting`, `idle`, `busy`, `spare`, `abandoned` or `stopping`;
    `waiting` checkouts are in the queue; `inflight_calls` have no reply yet.
    `worker_starts` counts processes launched, `failed_starts` those of them
    that never got to work, `replacements` workers that were lost in service.
    `circuits` has the commands whose circuit is "open" or "half-open"; of
    `calls`, those it refused are counted as "circuit_open".
    `leaks` counts the leases that were reported for being held too long.
    The other mappings count by outcome or reason.
    """

    name: str
    state: PoolState
    start_method: str
    generation: int
    size: int
    overflow: int
    total: int
    starting: int
    idle: int
    busy: int
    spare: int
    abandoned: int
    stopping: int
    waiting: int
    inflight_calls: int
    checkouts: dict[str, int]
    calls: dict[str, int]
    worker_starts: int
    failed_starts: int
    worker_exits: dict[str, int]
    replacements: int
    late_replies: int
    retries: int
    restarts_in_window: int
    validations: dict[str, int]
    pings: dict[str, int]
    circuits: dict[str, str]
    leaks: int
    workers: tuple[WorkerStats, ...]

    def line(self) -> str:
        """The counts that matter to a person who reads an error."""
        return (
            f"{self.total} workers of {self.size}+{self.overflow}: {self.idle} idle, "
            f"{self.busy} busy, {self.starting} starting, {self.spare} spare, "
            f"{self.abandoned} abandoned, "
            f"{self.stopping} stopping; {self.waiting} waiting"
        )

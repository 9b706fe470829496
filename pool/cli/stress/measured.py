"""What one run of the stress command measures. Pure."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from signal import Signals

from pool.quotes import plain
from pool.stats import PoolStats

KEPT = 100_000
"""Values that a series keeps: with so many, the standard error of the 99th percentile is 0.03 ranks
in a hundred, the square root of p (1 - p) / n."""

LATEST = 1_000
"""Values that a series has of its end: a live view shows percentiles of them."""

MAX_NAMES = 100
"""Names of errors that are counted apart: a bridge may report each under a name of its own."""


LONGEST = 300
"""Characters that are kept of what an error says: its first line."""


def count_error(counts: Counter[str], kind: str, told: str = "") -> str:
    """Count an error under its kind and what the bridge told of it, if there is room for that.

    Returns the name under which it was counted.
    """
    shown = plain(told)
    name = f"{kind}:{shown}" if shown else kind
    name = name if name in counts or len(counts) < MAX_NAMES else kind
    counts[name] += 1
    return name


def in_short(says: str) -> str:
    """The beginning of what an error says."""
    return plain(says.strip().partition("\n")[0][:LONGEST])


class Samples:
    """A series of any length in bounded memory.

    All values up to `KEPT`, then a uniform sample of as many (reservoir
    sampling, Vitter's algorithm R). `count` and `max` are exact; `latest` has the
    last `LATEST` values.
    """

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.kept = array("d")
        self.latest: deque[float] = deque(maxlen=LATEST)
        self.count = 0
        self.max = 0.0
        self._random = Random(0)
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        self.count += 1
        self.max = max(self.max, value)
        self.latest.append(value)
        if len(self.kept) < KEPT:
            self.kept.append(value)
            return
        place = int(self._random.random() * self.count)
        if place < KEPT:
            self.kept[place] = value


@dataclass(slots=True)
class Measured:
    """What the load generator saw. Times are in seconds.

    `offered` counts operations as they are started, the outcomes count them
    as they end, `errors` by name, and `causes` is what the first of each name
    said. `calls` counts the calls that operations
    made, by "ok" or the error's name. `latencies` are of what succeeded and
    `refusals` of what was shed, both from the intended start; `lags` are how
    much later than intended an open loop started operations; `waits` are of
    checkouts that got a worker. `unasked` operations failed before they asked
    the pool for one.
    """

    offered: int = 0
    successful: int = 0
    shed: int = 0
    unasked: int = 0
    retries: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    causes: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    latencies: Samples = field(default_factory=Samples)
    refusals: Samples = field(default_factory=Samples)
    lags: Samples = field(default_factory=Samples)
    waits: Samples = field(default_factory=Samples)
    first_result: float | None = None
    offering: float = 0.0
    wall: float = 0.0

    @property
    def failed(self) -> int:
        return self.errors.total()

    @property
    def ended(self) -> int:
        """Operations with an outcome."""
        return self.successful + self.failed + self.shed


@dataclass(slots=True)
class Toll:
    """What chaos did, by the kind of fault.

    Of the workers that were `struck`, so many have `ended` since, and so many
    have not that should have: the `survivors`. `regains` are the seconds from
    a kill until as many workers served as before.
    """

    struck: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    survivors: Counter[str] = field(default_factory=Counter)
    regains: Samples = field(default_factory=Samples)


class Availability:
    """The time-weighted mean share of `size` that serves, from when the first worker did.

    It is the pool's own view: a worker that hangs serves until that is found
    out, and one that nobody has needed yet does not.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen_at: float | None = None
        self._watched = 0.0
        self._served = 0.0

    def see(self, now: float, serving: int) -> None:
        """So many workers serve now, and have since the last time, as far as is known."""
        if self._seen_at is not None:
            self._watched += now - self._seen_at
            self._served += (now - self._seen_at) * min(serving, self._size)
        elif not serving:
            return
        self._seen_at = now

    @property
    def mean(self) -> float | None:
        """From 0 to 1; None if no worker ever served."""
        return self._served / self._watched / self._size if self._watched else None


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process, the parent, holds at one moment."""

    rss_mb: float
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Run:
    """All that is known of a run.

    `loaded` is the pool when the load had ended, `closed` the pool after it
    was closed; `before` and `after` are of the moments before it was opened
    and after it was closed. `ended_by` is the signal that ended the load early.
    """

    measured: Measured
    toll: Toll
    available: float | None
    loaded: PoolStats
    closed: PoolStats
    before: Footprint
    after: Footprint
    ended_by: Signals | None = None

"""What the events of a pool add up to, of that which its `stats()` do not count. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from itertools import compress
from typing import Any

from pool.telemetry.events import (
    CallRetried,
    Event,
    PingAnswered,
    PoolClosed,
    PoolOpened,
    WorkerReplaced,
    WorkerStarted,
)
from pool.telemetry.histograms import DURATIONS, SIZES, Histogram
from pool.telemetry.tables import CallsFinished, CheckoutsReturned

KINDS: tuple[type[Event], ...] = (
    *(CallsFinished, CheckoutsReturned),
    *(CallRetried, PingAnswered, WorkerReplaced, WorkerStarted, PoolOpened, PoolClosed),
)
"""The events that are added up."""

OTHER = "other"
"""What commands are called that have no label of their own."""

_durations = partial(Histogram, DURATIONS)
_sizes = partial(Histogram, SIZES)


class Commands:
    """Which commands have a label of their own: these, or so many as are seen first.

    Commands are callers' strings: without a bound, labels would grow without one.
    """

    def __init__(self, allowed: int | Collection[str]) -> None:
        self._room = allowed if isinstance(allowed, int) else 0
        self._known = set() if isinstance(allowed, int) else set(allowed)

    def label(self, command: str) -> str:
        """The command's name, or `OTHER`."""
        if command in self._known:
            return command
        if len(self._known) >= self._room:
            return OTHER
        self._known.add(command)
        return command


class Tally:
    """Counts and histograms, by the labels of their metrics.

    `is_open` is whether the pool is, for who measures then.
    """

    def __init__(self, commands: int | Collection[str], *, is_open: bool) -> None:
        self._commands = Commands(commands)
        self.is_open = is_open
        self.calls: Counter[tuple[str, str]] = Counter()
        self.durations: dict[tuple[str, str], Histogram] = defaultdict(_durations)
        self.compute: dict[str, Histogram] = defaultdict(_durations)
        self.request_bytes: dict[str, Histogram] = defaultdict(_sizes)
        self.response_bytes: dict[str, Histogram] = defaultdict(_sizes)
        self.items: Counter[str] = Counter()
        self.waits = _durations()
        self.held = _durations()
        self.retries: Counter[str] = Counter()
        self.starts = {phase: _durations() for phase in ("launch", "import", "ready")}
        self.gaps = _durations()
        self.pings = _durations()
        self.lags = _durations()

    def add(self, events: Sequence[Event]) -> None:
        """Take these events in."""
        by_kind: dict[type[Event], list[Any]] = defaultdict(list)
        for event in events:
            by_kind[type(event)].append(event)
        for calls in by_kind.pop(CallsFinished, ()):
            self._add_calls(calls)
        for checkouts in by_kind.pop(CheckoutsReturned, ()):
            self.waits.add(checkouts.waits)
            self.held.add(checkouts.held)
        if by_kind:
            self._add_rare(by_kind)

    def _add_calls(self, calls: CallsFinished) -> None:
        for (command, outcome), alike in calls.by("command", "outcome").items():
            self._add_alike(self._commands.label(command), outcome, alike)

    def _add_alike(self, command: str, outcome: str, calls: CallsFinished) -> None:
        self._count(command, outcome, calls.counts)
        seconds = calls.seconds
        self._add_checkouts(seconds, calls)
        self.durations[command, outcome].add(seconds)
        self.request_bytes[command].add(calls.request_bytes)
        # What ended without a reply had no size of one.
        if sizes := [size for size in calls.response_bytes if size]:
            self.response_bytes[command].add(sizes)
        if items := sum(calls.items):
            self.items[command] += items
        if computes := [spent for spent in calls.computes if spent is not None]:
            self.compute[command].add(computes)

    def _count(self, command: str, outcome: str, counts: list[dict[str, int] | None]) -> None:
        self.calls[command, outcome] += counts.count(None)
        for count in counts:
            for own, calls in count.items() if count else ():
                self.calls[command, own] += calls

    def _add_checkouts(self, seconds: list[float], calls: CallsFinished) -> None:
        """Those that were for one call each, and took these seconds."""
        are_alone = calls.are_alone
        if not all(are_alone):
            seconds = list(compress(seconds, are_alone))
        self.held.add(seconds)
        self.waits.add([wait for wait in compress(calls.waits, are_alone) if wait is not None])

    def _add_rare(self, by_kind: dict[type[Event], list[Any]]) -> None:
        self.is_open = (self.is_open or PoolOpened in by_kind) and PoolClosed not in by_kind
        self.retries.update(event.reason for event in by_kind[CallRetried])
        self.gaps.add([event.gap for event in by_kind[WorkerReplaced]])
        self.pings.add([event.seconds for event in by_kind[PingAnswered]])
        started: list[WorkerStarted] = by_kind[WorkerStarted]
        self.starts["launch"].add([event.launch for event in started])
        # A worker of a template imports nothing itself.
        self.starts["import"].add([event.imports for event in started if event.imports])
        self.starts["ready"].add([event.ready for event in started])

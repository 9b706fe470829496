"""What the events of a pool add up to, of that which its `stats()` do not count. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from pool.telemetry.events import (
    CallFinished,
    CallRetried,
    CheckoutReturned,
    Event,
    PingAnswered,
    PoolClosed,
    PoolOpened,
    WorkerReplaced,
    WorkerStarted,
)
from pool.telemetry.histograms import DURATIONS, SIZES, Histogram

KINDS: tuple[type[Event], ...] = (
    *(CallFinished, CheckoutReturned),
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

    Events are taken column by column, a quarter of a microsecond for each: one at a
    time they would cost several. `is_open` is whether the pool is, for who measures then.
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
        self._add_calls(by_kind.pop(CallFinished, []))
        self._add_checkouts(by_kind.pop(CheckoutReturned, []))
        if by_kind:
            self._add_rare(by_kind)

    def _add_calls(self, calls: list[CallFinished]) -> None:
        for (command, outcome), alike in _groups(calls):
            self._add_alike(self._commands.label(command), outcome, alike)

    def _add_alike(self, command: str, outcome: str, calls: list[CallFinished]) -> None:
        self.calls[command, outcome] += sum([call.calls for call in calls])
        self.durations[command, outcome].add([call.seconds for call in calls])
        self.request_bytes[command].add([call.request_bytes for call in calls])
        # What ended without a reply had no size of one.
        if sizes := [size for call in calls if (size := call.response_bytes)]:
            self.response_bytes[command].add(sizes)
        if items := sum([call.items for call in calls]):
            self.items[command] += items
        if compute := [spent for call in calls if (spent := call.compute) is not None]:
            self.compute[command].add(compute)

    def _add_checkouts(self, checkouts: list[CheckoutReturned]) -> None:
        if checkouts:
            self.waits.add([checkout.waited for checkout in checkouts])
            self.held.add([checkout.held for checkout in checkouts])

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


def _groups(
    calls: list[CallFinished],
) -> Iterable[tuple[tuple[str, str], list[CallFinished]]]:
    """The calls by command and outcome: mostly there is one of each."""
    if not calls:
        return ()
    commands = {call.command for call in calls}
    outcomes = {call.outcome for call in calls}
    if len(commands) == len(outcomes) == 1:
        return (((commands.pop(), outcomes.pop()), calls),)
    groups: dict[tuple[str, str], list[CallFinished]] = defaultdict(list)
    for call in calls:
        groups[call.command, call.outcome].append(call)
    return groups.items()

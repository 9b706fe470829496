"""What is known of each command's calls, in bounded memory. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from operator import sub
from typing import Any

import msgspec
from msgspec import Raw

from pool.profile.report import Command, Distribution
from pool.profile.sketch import Sketch
from pool.telemetry.events import CallFinished
from pool.telemetry.tables import CallsFinished

MAX_COMMANDS = 100
"""Commands that are told apart; calls of others are counted together as `OTHER`."""

MAX_PHASES = 50
"""Phases of its own that are told apart for each command, and `MAX_ALL_PHASES` for all of them."""

MAX_ALL_PHASES = 500

MAX_NAME = 100
"""Characters of a name that are kept."""

MANY = 500
"""Calls of a command that are counted together; until then they are kept, 300 bytes each."""

MAX_HELD = 64 * 1024
"""Bytes of phases, not yet read, with which they are counted earlier."""

OTHER = "other"

TIMEOUT = 2.0
"""Times its 95th percentile is a timeout that suits a command."""

ENOUGH = 20
"""Calls from which a 95th percentile is more than the longest of them."""

_decode_phases = msgspec.json.Decoder(dict[str, float]).decode


def phases_of(raw: Raw | None) -> dict[str, float]:
    """A call's own phases, as far as they make sense: a foreign bridge may say anything."""
    if raw is None:
        return {}
    try:
        told = _decode_phases(raw)
    except ValueError:
        return {}
    return {name[:MAX_NAME]: seconds for name, seconds in [*told.items()][:MAX_PHASES]}


class Commands:
    """All that were called, by name."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._phases = 0

    def tally(self, name: str) -> Tally:
        """The one of a command, or of all others when there are too many."""
        tally = self._tallies.get(name)
        if tally is None:
            name = name[:MAX_NAME] if len(self._tallies) < MAX_COMMANDS else OTHER
            tally = self._tallies.setdefault(name, Tally())
        return tally

    def finished(self, name: str, calls: CallsFinished, first_ready: float) -> None:
        """Some calls of a command have ended, in the order of the list.

        Those asked for before `first_ready` waited for the first worker. They are counted
        when there are `MANY`: together a call costs one microsecond or two, alone ten.
        """
        tally = self.tally(name)
        tally.waiting += calls.cells
        tally.held += sum([len(memoryview(raw)) for raw in calls.phases if raw is not None])
        if len(tally.waiting) >= MANY * calls.width() or tally.held > MAX_HELD:
            self._count(tally, first_ready)

    def _count(self, tally: Tally, first_ready: float) -> None:
        calls = CallsFinished.from_cells("", tally.waiting)
        tally.waiting, tally.held = [], 0
        tally.finished(calls, first_ready)
        by_phase = defaultdict(list)
        for raw in calls.phases:
            if raw is not None:
                for phase, seconds in phases_of(raw).items():
                    by_phase[phase].append(seconds)
        for phase, durations in by_phase.items():
            self._phase(tally.phases, phase).add(durations)

    def _phase(self, phases: dict[str, Sketch], name: str) -> Sketch:
        if name not in phases:
            # One place is left for the others.
            if len(phases) >= MAX_PHASES - 1 or self._phases >= MAX_ALL_PHASES - MAX_COMMANDS:
                name = OTHER
            else:
                self._phases += 1
        return phases.setdefault(name, Sketch())

    def reports(self, first_ready: float) -> Iterator[Command]:
        """What is known of each, those first that took the most time."""
        self._count_all(first_ready)
        reports = [tally.report(name) for name, tally in self._tallies.items()]
        return iter(sorted(reports, key=_time_taken, reverse=True))

    def waits(self, first_ready: float) -> tuple[Sketch, Sketch]:
        """What calls of all commands waited: in the queue, and for the first worker."""
        self._count_all(first_ready)
        queue, start = Sketch(), Sketch()
        for tally in self._tallies.values():
            queue.merge(tally.wait)
            start.merge(tally.start_wait)
        return queue, start

    def _count_all(self, first_ready: float) -> None:
        for tally in self._tallies.values():
            if tally.waiting:
                self._count(tally, first_ready)


def _time_taken(command: Command) -> float:
    calls = command.durations.get("call")
    return 0.0 if calls is None else calls.total


class Tally:
    """The calls of one command."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        """Cells of `CallsFinished` that are not counted yet, with `held` bytes of phases."""
        self.held = 0
        self.outcomes: Counter[str] = Counter()
        self.items = self.request_bytes = self.response_bytes = 0
        self.peak_memory = 0
        self.wait, self.start_wait = Sketch(), Sketch()
        self.encode, self.transport = Sketch(), Sketch()
        self.compute, self.decode, self.call = Sketch(), Sketch(), Sketch()
        self.phases: dict[str, Sketch] = {}

    def finished(self, calls: CallsFinished, first_ready: float) -> None:
        """Some of its calls have ended."""
        self.request_bytes += sum(calls.request_bytes)
        self.response_bytes += sum(calls.response_bytes)
        self.items += sum(calls.items)
        if calls.counts.count(None) == len(calls):
            self._single(calls, first_ready)
            return
        events = list(calls.events())
        self._batches([event for event in events if event.counts is not None])
        singles = [event for event in events if event.counts is None]
        if singles:
            self._single(CallsFinished.from_events(singles), first_ready)

    def _single(self, calls: CallsFinished, first_ready: float) -> None:
        self.outcomes.update(calls.outcomes)
        seconds = calls.seconds
        self.call.add(seconds)
        self._computed(seconds, calls.computes, 1)
        waits = [wait for wait in calls.waits if wait is not None]
        if not waits:
            return
        if calls.instants[0] - max(seconds) - max(waits) >= first_ready:
            self.wait.add(waits)
        else:
            self._waited(calls, first_ready)

    def _waited(self, calls: CallsFinished, first_ready: float) -> None:
        """Some were asked for before a worker was ready: those waited for its start."""
        rows = zip(calls.instants, calls.seconds, calls.waits, strict=True)
        asked = [(at - seconds - wait, wait) for at, seconds, wait in rows if wait is not None]
        self.wait.add([wait for at, wait in asked if not wait or at >= first_ready])
        self.start_wait.add([wait for at, wait in asked if wait and at < first_ready])

    def _computed(
        self, seconds: Sequence[float], computes: Sequence[float | None], weight: int
    ) -> None:
        """Tell apart what of these seconds was the command's own, where the bridge tells it."""
        if None in computes:
            seconds = [s for s, own in zip(seconds, computes, strict=True) if own is not None]
        own = [compute for compute in computes if compute is not None]
        rest = list(map(sub, seconds, own))
        if rest and min(rest) < 0:
            # More than the whole call cannot be: clocks differ, or a bridge tells tales.
            own = list(map(min, own, seconds))
            rest = list(map(sub, seconds, own))
        self.compute.add(own, weight)
        self.transport.add(rest, weight)

    def _batches(self, batches: Sequence[CallFinished]) -> None:
        """Each call of a batch counts with its share of what the batch took."""
        for batch in batches:
            size, seconds = batch.calls, batch.seconds / batch.calls
            self.outcomes.update(batch.counts)
            self.call.add([seconds], size)
            compute = None if batch.compute is None else batch.compute / size
            self._computed([seconds], [compute], size)

    def report(self, name: str) -> Command:
        count = self.outcomes.total()
        durations = _known(
            {
                "queue wait": self.wait,
                "encode": self.encode,
                "transport": self.transport,
                "compute": self.compute,
                "decode": self.decode,
                "call": self.call,
            }
        )
        calls = durations.get("call")
        return Command(
            name=name,
            count=count,
            success=self.outcomes["ok"] / count if count else 1.0,
            outcomes=dict(self.outcomes),
            durations=durations,
            phases=_known(self.phases),
            items=self.items,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            peak_memory=self.peak_memory or None,
            timeout=TIMEOUT * calls.p95 if calls is not None and count >= ENOUGH else None,
        )


def _known(sketches: dict[str, Sketch]) -> dict[str, Distribution]:
    found = {name: sketch.distribution() for name, sketch in sketches.items()}
    return {name: known for name, known in found.items() if known is not None}

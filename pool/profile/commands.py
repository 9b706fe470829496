"""What is known of each command's calls, in bounded memory. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw

from pool.profile.report import Command, Distribution
from pool.profile.sketch import Sketch
from pool.telemetry.events import CallFinished

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
    except (ValueError, RecursionError):
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

    def finished(self, name: str, calls: Sequence[CallFinished], first_ready: float) -> None:
        """Some calls of a command have ended, in the order of the list.

        Those asked for before `first_ready` waited for the first worker. They are counted
        when there are `MANY`: together a call costs one microsecond or two, alone ten.
        """
        tally = self.tally(name)
        tally.waiting += calls
        tally.held += sum([len(memoryview(c.phases)) for c in calls if c.phases is not None])
        if len(tally.waiting) >= MANY or tally.held > MAX_HELD:
            self._count(tally, first_ready)

    def _count(self, tally: Tally, first_ready: float) -> None:
        calls, tally.waiting, tally.held = tally.waiting, [], 0
        tally.finished(calls, first_ready)
        by_phase = defaultdict(list)
        for call in calls:
            if call.phases is not None:
                for phase, seconds in phases_of(call.phases).items():
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
        self.waiting: list[CallFinished] = []
        self.held = 0
        self.outcomes: Counter[str] = Counter()
        self.items = self.request_bytes = self.response_bytes = 0
        self.peak_memory = 0
        self.wait, self.start_wait = Sketch(), Sketch()
        self.encode, self.transport = Sketch(), Sketch()
        self.compute, self.decode, self.call = Sketch(), Sketch(), Sketch()
        self.phases: dict[str, Sketch] = {}

    def finished(self, calls: Sequence[CallFinished], first_ready: float) -> None:
        """A column after the other: that takes half as long as a call after the other."""
        self.request_bytes += sum([call.request_bytes for call in calls])
        self.response_bytes += sum([call.response_bytes for call in calls])
        if any(call.items for call in calls):
            self.items += sum(call.items for call in calls)
        single = [call for call in calls if call.calls == 1]
        if len(single) < len(calls):
            self._batches([call for call in calls if call.calls != 1])
        self.outcomes.update([call.outcome for call in single])
        self.call.add([call.seconds for call in single])
        self._waited(single, first_ready)
        self._computed([(call.seconds, call.compute) for call in single], 1)

    def _waited(self, calls: Sequence[CallFinished], first_ready: float) -> None:
        waits = [wait for call in calls if (wait := call.waited) is not None]
        if not waits:
            return
        longest = max([call.seconds for call in calls]) + max(waits)
        if calls[0].at - longest >= first_ready:
            self.wait.add(waits)
            return
        asked = [(c.at - c.seconds - c.waited, c.waited) for c in calls if c.waited is not None]
        self.wait.add([wait for at, wait in asked if not wait or at >= first_ready])
        self.start_wait.add([wait for at, wait in asked if wait and at < first_ready])

    def _computed(self, calls: Sequence[tuple[float, float | None]], weight: int) -> None:
        known = [pair for pair in calls if pair[1] is not None]
        if known:
            # What is more than the whole call cannot be: clocks differ, or a bridge tells tales.
            computes = [min(compute, seconds) for seconds, compute in known if compute is not None]
            self.compute.add(computes, weight)
            others = zip(known, computes, strict=True)
            self.transport.add([pair[0] - compute for pair, compute in others], weight)

    def _batches(self, batches: Sequence[CallFinished]) -> None:
        """Each call of a batch counts with its share of what the batch took."""
        for batch in batches:
            n = batch.calls
            self.outcomes[batch.outcome] += n
            self.call.add([batch.seconds / n], n)
            compute = None if batch.compute is None else batch.compute / n
            self._computed([(batch.seconds / n, compute)], n)

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

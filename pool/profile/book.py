"""All that a profile knows: told of events and samples, it makes the report. Pure.

Its memory is bounded however long it goes on, by the bounds that `commands`,
`kept`, `sketch` and `system` state: at most 90 MB with the default of 100 calls kept,
and that only if 100 commands have all phases that they may have, with durations over nine
orders of magnitude; 3 MB or so for ten commands and ten workers.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import chain
from math import inf

from pool.exchange.codec import Times
from pool.profile.commands import MAX_NAME, Commands
from pool.profile.findings import judge
from pool.profile.kept import Kept
from pool.profile.report import Report, Start
from pool.profile.sketch import Sketch
from pool.profile.system import System
from pool.profile.thresholds import Thresholds
from pool.stats import PoolStats
from pool.telemetry.events import (
    CheckoutExpired,
    CheckoutShed,
    Event,
    TemplateLoaded,
    WorkerExited,
    WorkerStarted,
)
from pool.telemetry.tables import CallsFinished
from pool.usage import Usage

MAX_STARTS = 200
"""Starts of workers that are kept: half of them the first ones, half the last ones."""

MAX_TEMPLATES = 20
"""Templates that are kept, the last ones: each reload makes one."""


class Book:
    """A profile begun at the instant `began` of the pool's clock.

    `first_ready` is the instant at which the first worker was ready, if there is one.
    """

    def __init__(self, began: float, keep: int, first_ready: float = inf) -> None:
        self._began = began
        self._first_ready = first_ready
        self._commands = Commands()
        self._system = System()
        self._kept = Kept(keep)
        self._calls = 0
        self._lags = Sketch()
        self._lag = 0.0
        self._refused: Counter[str] = Counter()
        self._exits: Counter[str] = Counter()
        self._first_starts: list[Start] = []
        self._last_starts: deque[Start] = deque(maxlen=MAX_STARTS // 2)
        self._templates: deque[Start] = deque(maxlen=MAX_TEMPLATES)
        self._ran: set[tuple[str, str]] = set()

    # Told

    def hear(self, events: Iterable[Event]) -> None:
        """Some events, in their order."""
        for event in events:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case CallsFinished():
                self._finished(event)
            case WorkerStarted():
                self._started(event)
            case TemplateLoaded():
                self._templates.append(self._loaded(event))
            case WorkerExited():
                self._exits[event.reason] += 1
            case CheckoutShed():
                self._refused["shed"] += 1
            case CheckoutExpired():
                self._refused["timeout"] += 1

    def _finished(self, calls: CallsFinished) -> None:
        self._calls += len(calls)
        self._kept.finished(calls)
        for (command,), of_one in calls.by("command").items():
            self._commands.finished(command, of_one, self._first_ready)
            workers = set(of_one.workers)
            self._ran.update((worker, command[:MAX_NAME]) for worker in workers)

    def _started(self, event: WorkerStarted) -> None:
        self._first_ready = min(self._first_ready, event.at)
        start = Start(
            worker=event.worker,
            at=event.at - self._began,
            launch=event.launch,
            imports=event.imports,
            start_up=event.start_up,
            ready=event.ready,
        )
        if len(self._first_starts) < MAX_STARTS // 2:
            self._first_starts.append(start)
        else:
            self._last_starts.append(start)

    def _loaded(self, event: TemplateLoaded) -> Start:
        return Start(
            worker=event.template,
            at=event.at - self._began,
            launch=max(0.0, event.seconds - event.imports - event.preload - event.freeze),
            imports=event.imports,
            start_up=event.preload,
            ready=event.seconds,
        )

    def timed(self, times: Times) -> None:
        """Take what encoding and decoding took."""
        for command, durations in times.encode.items():
            self._commands.tally(command).encode.add(durations)
        for command, durations in times.decode.items():
            self._commands.tally(command).decode.add(durations)
        times.encode.clear()
        times.decode.clear()

    def lagged(self, seconds: float) -> None:
        """The event loop came so much too late to something."""
        self._lags.add([seconds])
        self._lag = max(self._lag, seconds)

    def sample(
        self,
        now: float,
        stats: PoolStats,
        own: Usage,
        workers: Mapping[str, Usage],
        descriptors: int,
    ) -> None:
        """See how the system is."""
        at, lag = now - self._began, self._lag
        peaks = self._system.sample(
            at, stats, own, workers, calls=self._calls, lag=lag, descriptors=descriptors
        )
        self._lag = 0.0
        for worker, command in self._ran:
            tally = self._commands.tally(command)
            tally.peak_memory = max(tally.peak_memory, peaks.get(worker, 0))
        self._ran.clear()

    # Asked

    def report(
        self, now: float, pool: str, began: str, thresholds: Thresholds | None = None
    ) -> Report:
        """What is known so far."""
        queue_wait, start_wait = self._commands.waits(self._first_ready)
        report = Report(
            pool=pool,
            began=began,
            seconds=now - self._began,
            commands=tuple(self._commands.reports(self._first_ready)),
            queue_wait=queue_wait.distribution(),
            start_wait=start_wait.distribution(),
            loop_lag=self._lags.distribution(),
            refused=dict(self._refused),
            templates=tuple(self._templates),
            starts=tuple(chain(self._first_starts, self._last_starts)),
            workers=tuple(self._system.workers()),
            exits=dict(self._exits),
            snapshots=self._system.snapshots(),
            slowest=self._kept.slowest(self._began),
            last=self._kept.last(self._began),
        )
        return judge(report, thresholds or Thresholds())

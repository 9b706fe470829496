"""What a profile says, as data. Pure.

Durations and instants are in seconds, instants from the begin of the profile; sizes
are in bytes.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pool.profile.sla import Verdict, check
from pool.profile.thresholds import Finding, Thresholds

VERSION = 1
"""Of the JSON. A reader takes what has this version, and ignores members it does not know."""


class Distribution(Struct, frozen=True):
    """Durations. Percentiles are within 1 % of their value, all else is exact."""

    count: int
    total: float
    mean: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float


class Command(Struct, frozen=True, omit_defaults=True):
    """The calls of one command.

    `durations` has, as far as they are known, those of "queue wait" (of `pool.call`,
    without the wait for the first worker), "encode", "transport", "compute", "decode"
    and "call", from the request's being written until its reply was read; `phases`
    those of the command's own. Calls that failed are among them, for as long as they
    were waited for. `peak_memory` is the most that a worker had that ran it.
    """

    name: str
    count: int
    success: float
    outcomes: dict[str, int]
    durations: dict[str, Distribution]
    phases: dict[str, Distribution] = {}
    items: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    peak_memory: int | None = None
    timeout: float | None = None


class Call(Struct, frozen=True, omit_defaults=True):
    """One call, or one batch of `calls`; `at` is when it ended."""

    at: float
    worker: str
    command: str
    outcome: str
    waited: float
    seconds: float
    compute: float | None
    request_bytes: int
    response_bytes: int
    calls: int = 1
    phases: dict[str, float] = {}


class Memory(Struct, frozen=True, gc=False):
    """A worker's resident memory at an instant, and the calls that it had finished then."""

    at: float
    resident: int
    calls: int


class Trend(Struct, frozen=True):
    """What a worker's memory does: see `pool.profile.trend`.

    `growth` is that of the later half of what was seen, of which so much is `allowed`.
    """

    direction: str = "flat"
    bytes_per_second: float = 0.0
    bytes_per_call: float = 0.0
    growth: float = 0.0
    allowed: float = 0.0
    leak_suspected: bool = False


class Worker(Struct, frozen=True):
    """A worker and its memory; `peak` is that of its whole life."""

    name: str
    memory: tuple[Memory, ...]
    peak: int
    trend: Trend


class Start(Struct, frozen=True):
    """The start of a worker, ready `at` an instant: see `WorkerStarted`.

    Of a template, `launch` is the interpreter's start and `start_up` its preload.
    """

    worker: str
    at: float
    launch: float
    imports: float
    start_up: float
    ready: float


class Snapshot(Struct, frozen=True, gc=False):
    """The system at an instant.

    `waiting` and `lag`, of the event loop, are the most since the snapshot before;
    `calls`, `cpu` (of this process) and `workers_cpu` count from the begin.
    """

    at: float
    starting: int
    idle: int
    busy: int
    abandoned: int
    stopping: int
    waiting: int
    inflight: int
    calls: int
    resident: int
    cpu: float
    workers_resident: int
    workers_cpu: float
    lag: float
    descriptors: int

    def with_earlier(self, earlier: Snapshot) -> Snapshot:
        """The same, for the time of both."""
        return msgspec.structs.replace(
            self, waiting=max(self.waiting, earlier.waiting), lag=max(self.lag, earlier.lag)
        )


class Report(Struct, frozen=True, kw_only=True):
    """A profile of `seconds`, begun at `began` (time of day, UTC).

    `uncounted` commands and phases beyond the bounds are among those named "other".
    `queue_wait` is of all checkouts, leases' too, but not of batches', and not of those
    that waited for the first worker, whose waits are `start_wait`.
    """

    version: int = VERSION
    pool: str
    began: str
    seconds: float
    commands: tuple[Command, ...]
    queue_wait: Distribution | None
    start_wait: Distribution | None
    loop_lag: Distribution | None
    refused: dict[str, int]
    templates: tuple[Start, ...] = ()
    starts: tuple[Start, ...]
    workers: tuple[Worker, ...]
    exits: dict[str, int]
    snapshots: tuple[Snapshot, ...]
    slowest: tuple[Call, ...]
    last: tuple[Call, ...]
    findings: tuple[Finding, ...] = ()
    thresholds: Thresholds = Thresholds()

    @property
    def calls(self) -> int:
        """How many calls have ended."""
        return sum(command.count for command in self.commands)

    @property
    def success(self) -> float:
        """Which share of the calls had a good reply; 1 if there were none."""
        good = sum(command.outcomes.get("ok", 0) for command in self.commands)
        return good / self.calls if self.calls else 1.0

    def command(self, name: str) -> Command:
        """The command of a name; raises `KeyError`."""
        for command in self.commands:
            if command.name == name:
                return command
        raise KeyError(name)

    def timeouts(self) -> dict[str, float]:
        """A timeout for each command that was called often enough: twice its 95th percentile."""
        return {c.name: c.timeout for c in self.commands if c.timeout is not None}

    def check(self, command: str | None = None, **terms: float) -> Verdict:
        """Compare a command, or each, with what was agreed: see `pool.profile.sla.check`."""
        return check(self, command, **terms)

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)


_decode = msgspec.json.Decoder(Report).decode


class _Version(Struct):
    version: int


def from_json(data: bytes) -> Report:
    """Read what `to_json` wrote; raises `ValueError` if it is not that, or of another version."""
    version = msgspec.json.decode(data, type=_Version).version
    if version != VERSION:
        raise ValueError(f"a profile of version {version}; this reads version {VERSION}")
    return _decode(data)

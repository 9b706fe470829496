"""What happens in a pool: one type for each kind of fact. Pure.

Every event has the name of its `pool` and the instant `at` which it happened, in
seconds of a clock that only differences can be taken of. Durations are in seconds,
sizes in bytes. `name` and `level` are the same for all events of a type.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Raw, Struct


class Event(Struct, frozen=True, gc=False):
    """A fact, in the past tense."""

    name: ClassVar[str]
    level: ClassVar[str] = "info"

    pool: str
    at: float


# The pool


class PoolOpened(Event, frozen=True, gc=False):
    name = "pool.opened"

    size: int
    overflow: int
    start_method: str


class PoolFailed(Event, frozen=True, gc=False):
    """Workers fail to start again and again: work is refused until one starts."""

    name = "pool.failed"
    level = "warning"

    cause: str


class PoolRecovered(Event, frozen=True, gc=False):
    """A pool that had failed takes work again."""

    name = "pool.recovered"


class PoolClosed(Event, frozen=True, gc=False):
    name = "pool.closed"


class EnvironmentValidated(Event, frozen=True, gc=False):
    """`problems` are why no worker could run here; none are there if one can."""

    name = "environment.validated"

    seconds: float
    problems: tuple[str, ...] = ()


class TemplateLoaded(Event, frozen=True, gc=False):
    """A template has imported the bridge; the workers of `generation` are forked from it.

    That took it `seconds` from the start of its process, of which `imports` were for
    the import, `preload` for what the bridge preloads, `freeze` to collect garbage and
    freeze what is left; the rest is the interpreter's start. If it is not safe to fork,
    workers are spawned all the same.
    """

    name = "template.loaded"

    template: str
    pid: int
    generation: int
    seconds: float
    imports: float
    preload: float
    freeze: float


# Workers


class WorkerStarted(Event, frozen=True, gc=False):
    """A worker is ready.

    `launch` is how long its process took to be there, `imports` how long its bridge
    took to be imported (nothing where a template has done that), `ready` how long it
    took from the launch until its handshake was answered, `start_up` the part of that
    which the bridge's own start-up functions took. What a foreign bridge does not
    tell is 0. `slot` is the least number that no other worker of the pool has.
    """

    name = "worker.started"

    worker: str
    pid: int
    slot: int
    generation: int
    launch: float
    imports: float
    start_up: float
    ready: float


class WorkerExited(Event, frozen=True, gc=False):
    """`code` is the exit status, `signal` the number of what killed it, if anything did."""

    name = "worker.exited"

    worker: str
    pid: int | None
    slot: int
    reason: str
    code: int | None
    signal: int | None
    calls: int
    age: float


class WorkerLost(Event, frozen=True, gc=False):
    """A worker has ended that was not asked to; `was_ready` is False if it never got to work."""

    name = "worker.lost"
    level = "warning"

    worker: str
    was_ready: bool
    reason: str
    error: str


class WorkerReplaced(Event, frozen=True, gc=False):
    """A worker serves in the place of one that was lost, `gap` after the loss."""

    name = "worker.replaced"

    worker: str
    gap: float


class WorkerRecycled(Event, frozen=True, gc=False):
    """A worker goes for its age, its memory or the number of its calls."""

    name = "worker.recycled"

    worker: str
    reason: str


class PingAnswered(Event, frozen=True, gc=False):
    name = "ping.answered"
    level = "debug"

    worker: str
    seconds: float


# Checkouts


class CheckoutGranted(Event, frozen=True, gc=False):
    name = "checkout.granted"
    level = "debug"

    worker: str
    waited: float


class CheckoutReturned(Event, frozen=True, gc=False):
    """A slot was given back, or left with a call that was given up.

    `waited` and `held` are those of the checkout that had it.
    """

    name = "checkout.returned"
    level = "debug"

    worker: str
    waited: float
    held: float


class CheckoutShed(Event, frozen=True, gc=False):
    """Refused at once: the queue is full, or too long for the caller's deadline."""

    name = "checkout.shed"
    level = "debug"

    waiting: int
    retry_after: float


class CheckoutExpired(Event, frozen=True, gc=False):
    """No slot was free until the caller's deadline."""

    name = "checkout.expired"
    level = "debug"

    waited: float


class LeaseLeaked(Event, frozen=True, gc=False):
    """A checkout is held for longer than `leak_threshold`; `stack` is who took it."""

    name = "lease.leaked"
    level = "warning"

    worker: str
    seconds: float
    stack: str


# Calls


class CallFinished(Event, frozen=True, gc=False):
    """A call, or a batch, has ended for its caller.

    Of a batch `outcome` is that of all, and `counts` how many of its calls ended how:
    one of them may fail and the others not. Of a single call it is None.

    `waited` is how long its checkout waited for a slot, None for all but the first call
    on a lease. `seconds` is from the moment in
    which the request was written until the reply was read, `compute` the part of it
    that the command itself took; None where the bridge does not tell. `is_alone` is
    whether its checkout was for it alone, and as long. `phases` is
    JSON of an object: the seconds of each of the command's own phases. `items` of a
    stream came before its end.
    """

    name = "call.finished"
    level = "debug"

    worker: str
    command: str
    outcome: str
    waited: float | None
    seconds: float
    compute: float | None
    request_bytes: int
    response_bytes: int
    counts: dict[str, int] | None = None
    items: int = 0
    phases: Raw | None = None
    is_alone: bool = False

    @property
    def calls(self) -> int:
        """How many it is."""
        return 1 if self.counts is None else sum(self.counts.values())


class CallAbandoned(Event, frozen=True, gc=False):
    """The caller of a call is gone; its slot waits for the late reply."""

    name = "call.abandoned"
    level = "debug"

    worker: str
    command: str
    outcome: str


class CallRetried(Event, frozen=True, gc=False):
    """A call whose worker was lost is made again; `lost` workers did it cost so far."""

    name = "call.retried"

    command: str
    lost: int
    reason: str


class ReplyLate(Event, frozen=True, gc=False):
    """A reply came that nobody waits for any more, and was dropped."""

    name = "reply.late"

    worker: str


class CircuitOpened(Event, frozen=True, gc=False):
    """Calls of a command keep failing, the last with `failed_with`; they are refused now."""

    name = "circuit.opened"
    level = "warning"

    command: str
    failed_with: str


class CircuitClosed(Event, frozen=True, gc=False):
    """Calls of a command succeed again."""

    name = "circuit.closed"

    command: str


EVENTS: tuple[type[Event], ...] = tuple(Event.__subclasses__())
"""All kinds."""

FREQUENT: tuple[type[Event], ...] = (
    *(CallFinished, CheckoutGranted, CheckoutReturned, CheckoutShed, CheckoutExpired),
    PingAnswered,
)
"""Those that may come thousands of times a second."""

RARE: tuple[type[Event], ...] = tuple(kind for kind in EVENTS if kind not in FREQUENT)
"""All others."""

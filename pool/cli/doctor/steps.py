"""The steps of a cold start, from the events of a pool that made one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec import Struct

from pool.telemetry.events import (
    CallFinished,
    CheckoutGranted,
    Event,
    PoolOpened,
    TemplateLoaded,
    WorkerStarted,
)

E = TypeVar("E", bound=Event)

KINDS: tuple[type[Event], ...] = (
    PoolOpened,
    TemplateLoaded,
    WorkerStarted,
    CheckoutGranted,
    CallFinished,
)
"""What has to be listened to."""


class Step(Struct, frozen=True):
    """A step that began `begin_s` after the pool was opened; both in seconds."""

    step: str
    begin_s: float
    seconds: float


class ColdStart(Struct, frozen=True):
    """All steps, in their order; what lies between them, the pool's own work, has no name."""

    steps: list[Step]
    total_s: float


def cold_start(heard: Sequence[Event], *, forked: bool) -> ColdStart:
    """What the first call of a pool took; `forked` is how its worker came to be.

    All instants are of the pool's clock. What children measured are durations, laid
    out in the order in which they do things.
    """
    zero = _first(heard, PoolOpened).at
    worker = _first(heard, WorkerStarted)
    granted = _first(heard, CheckoutGranted)
    call = _first(heard, CallFinished)
    steps = [step for template in _of(heard, TemplateLoaded) for step in _template(template)]
    steps += _forked(worker) if forked else _spawned(worker)
    steps.append(Step("first checkout", worker.at, granted.at - worker.at))
    steps.append(Step("first reply", call.at - call.seconds, call.seconds))
    steps = [Step(step.step, step.begin_s - zero, step.seconds) for step in steps]
    return ColdStart(steps, call.at - zero)


def _template(loaded: TemplateLoaded) -> list[Step]:
    own = loaded.seconds - loaded.imports - loaded.preload - loaded.freeze
    return _in_a_row(
        loaded.at - loaded.seconds,
        ("template: interpreter", own),
        ("template: import", loaded.imports),
        ("template: preload", loaded.preload),
        ("template: freeze", loaded.freeze),
    )


def _forked(worker: WorkerStarted) -> list[Step]:
    return _in_a_row(
        worker.at - worker.ready,
        ("worker: fork", worker.launch),
        ("worker: handshake", _rest(worker) + worker.imports),
        ("worker: start-up", worker.start_up),
    )


def _spawned(worker: WorkerStarted) -> list[Step]:
    return _in_a_row(
        worker.at - worker.ready,
        ("worker: launch", worker.launch),
        ("worker: interpreter", _rest(worker)),
        ("worker: import", worker.imports),
        ("worker: start-up", worker.start_up),
    )


def _rest(worker: WorkerStarted) -> float:
    """What the child does not name: its interpreter's start, and the handshake itself."""
    return max(0.0, worker.ready - worker.launch - worker.imports - worker.start_up)


def _in_a_row(begin: float, *parts: tuple[str, float]) -> list[Step]:
    steps = []
    for name, seconds in parts:
        steps.append(Step(name, begin, max(0.0, seconds)))
        begin += max(0.0, seconds)
    return steps


def _of(heard: Iterable[Event], kind: type[E]) -> list[E]:
    return [event for event in heard if isinstance(event, kind)]


def _first(heard: Iterable[Event], kind: type[E]) -> E:
    return _of(heard, kind)[0]

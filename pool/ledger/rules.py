"""What is to be done, read from the ledger as it is now. Pure.

`decide` gives the actions of the first rule that has any; whoever carries them
out asks again until there are none. Nothing is planned ahead, so nothing that
was planned can become stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pool.capacity import Counts, promotions, starts
from pool.ledger import Fitness, Ledger
from pool.ledger.members import Member
from pool.lifecycle import PoolState, WorkerState

W = TypeVar("W", bound=Member)

OVERFLOW_LINGER = 30.0
"""Seconds an idle worker above `size` stays, unless `idle_timeout` says otherwise."""


@dataclass(frozen=True, slots=True)
class Start:
    """Launch a worker; one that stands in counts for nothing before it takes another's place."""

    stands_in: bool = False


@dataclass(frozen=True, slots=True)
class Promote(Generic[W]):
    """Put a spare in service."""

    worker: W


@dataclass(frozen=True, slots=True)
class Release(Generic[W]):
    """Lend a worker no more, and retire it when its calls are finished."""

    worker: W
    reason: str


@dataclass(frozen=True, slots=True)
class Retire(Generic[W]):
    """Ask an idle worker to exit."""

    worker: W
    reason: str


@dataclass(frozen=True, slots=True)
class Kill(Generic[W]):
    """Kill a worker; `what` completes the sentence "the worker ..."."""

    worker: W
    reason: str
    what: str


@dataclass(frozen=True, slots=True)
class Validate:
    """Find out whether the environment can run the bridge."""


Action = Start | Promote[W] | Release[W] | Retire[W] | Kill[W] | Validate


def decide(ledger: Ledger[W], now: float) -> list[Action[W]]:
    """What is to be done at the instant `now`; nothing if all is as it should be."""
    if ledger.life.state in (PoolState.NEW, PoolState.CLOSED):
        return []
    if ledger.is_over:
        return list(_end_workers(ledger))
    counts = ledger.counts()
    for rule in _RULES:
        actions = list(rule(ledger, counts, now))
        if actions:
            return actions
    return []


def look_again_at(ledger: Ledger[W], now: float) -> float | None:
    """The instant at which time alone may have changed what is to be done; None is never."""
    counts = ledger.counts()
    instants = [ledger.life.hurry_at, ledger.proof_due_at(), _next_start(ledger, counts)]
    instants += _next_dismissals(ledger, counts, now)
    instants += _next_birthdays(ledger)
    instants += _end_of_patience(ledger)
    later = (instant for instant in instants if instant is not None and instant > now)
    return min(later, default=None)


# The end


def _end_workers(ledger: Ledger[W]) -> Iterator[Action[W]]:
    for worker in ledger.roster:
        if ledger.life.is_terminated:
            if worker.state is not WorkerState.KILLING:
                yield Kill(worker, "drain", "was killed because the pool was terminated")
        elif worker.is_idle and not ledger.life.is_hurried:
            yield Retire(worker, "drain")
        elif worker.is_there:
            yield Kill(worker, "drain", "was killed because the pool closes")


# Spares


def _promote_spares(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """One that is ready comes before one that starts."""
    spares = ledger.roster.spares()
    if spares:
        for spare in spares[: promotions(ledger.limits, counts)]:
            yield Promote(spare)


def _drop_spares(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """Those that nobody wants go."""
    spares = ledger.roster.spares()
    if spares:
        for spare in spares[counts.reserve :]:
            yield Retire(spare, "unwanted")


# Idle workers


def _dismiss_idle(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """Workers that have idled for their time go, one at a time."""
    linger = _linger(ledger, counts)
    if linger is None:
        return
    for worker in ledger.roster:
        idles = worker.is_idle and worker.in_service and not worker.released
        if idles and now >= worker.last_active + linger:
            yield Retire(worker, "idle")
            return


def _linger(ledger: Ledger[W], counts: Counts) -> float | None:
    """Seconds that an idle worker may stay as things are; None is for ever.

    None go below `min_ready`, or below what somebody waits for.
    """
    if counts.serving <= counts.floor:
        return None
    if ledger.config.idle_timeout is not None:
        return ledger.config.idle_timeout
    return OVERFLOW_LINGER if counts.serving > ledger.limits.size else None


def _next_dismissals(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[float | None]:
    linger = _linger(ledger, counts)
    if linger is None:
        return
    for worker in ledger.roster:
        if worker.in_service:
            # One that is busy cannot have idled long enough any earlier.
            yield (worker.last_active if worker.is_idle else now) + linger


def _release_surplus(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """More may serve than the limits allow: after a resize, or when a late reply brings back
    a worker that has been replaced. Those that idle go first, the longest idle before others.
    """
    surplus = counts.serving - ledger.limits.size - ledger.limits.overflow
    if surplus > 0:
        serving = [w for w in ledger.roster if w.in_service and w.serves]
        serving.sort(key=lambda worker: (worker.is_busy, worker.last_active))
        yield from (Release(worker, "unwanted") for worker in serving[:surplus])


# Workers that are due, released or given up


def _finish_released(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    for worker in ledger.roster:
        if worker.released and worker.is_idle:
            yield Retire(worker, worker.released)


def _next_birthdays(ledger: Ledger[W]) -> Iterator[float | None]:
    for worker in ledger.roster:
        if worker.term.age is not None:
            yield worker.launched_at + worker.term.age


def _release_useless(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """Who is due and blocked by abandoned calls serves nobody: nothing stands in for it."""
    for worker in ledger.roster:
        if worker.due and worker.is_ready and worker.is_blocked and not worker.released:
            yield Release(worker, worker.due)


def _kill_stuck(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """A call that was given up is not ended otherwise; its neighbours are let finish first."""
    for worker in ledger.roster:
        if worker.is_stuck and worker.is_ready and not worker.is_busy:
            yield Kill(worker, "timeout", "did not end an abandoned call")


def _cull_abandoned(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """Bound the processes that nobody is served by: beyond `size` of them the oldest go."""
    blocked = [w for w in ledger.roster if w.is_ready and w.is_blocked]
    for worker in blocked[: -ledger.limits.size]:
        yield Kill(worker, "timeout", "was one of too many that had not ended abandoned calls")


def _drop_stand_ins(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    if ledger.roster.due() and ledger.life.may_grow:
        return
    for worker in ledger.roster:
        if worker.stands_in and worker.is_there:
            yield Kill(worker, "unwanted", "was not wanted any more: nobody is to be replaced")


def _replace_due(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """One at a time, unless the one before takes long over its last calls."""
    if not ledger.roster.due() or not ledger.life.may_grow or not _may_start(ledger, now):
        return
    arriving = any(worker.stands_in for worker in ledger.roster)
    if not arriving and all(now >= instant for instant in _end_of_patience(ledger)):
        yield Start(stands_in=True)


def _end_of_patience(ledger: Ledger[W]) -> Iterator[float]:
    """For each worker that is on its way out: until when it is waited for."""
    for worker in ledger.roster:
        if worker.released:
            yield worker.released_at + ledger.config.grace_period


# Starts


def _start_missing(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """As many as are missing, and limits and back-off allow."""
    if not _may_start(ledger, now):
        return
    missing = starts(ledger.limits, counts)
    at_most = ledger.restarts.at_most
    if at_most is not None:
        missing = min(missing, at_most - counts.starting)
    yield from (Start() for _ in range(missing))


def _ask_environment(ledger: Ledger[W], counts: Counts, now: float) -> Iterator[Action[W]]:
    """Validated once, when the first worker is missing; what failed is asked when needed again."""
    if ledger.fitness in (Fitness.BEING_ASKED, Fitness.FIT):
        return
    if starts(ledger.limits, counts) and (not ledger.lobby.is_empty or now >= ledger.ask_again_at):
        yield Validate()


def _may_start(ledger: Ledger[W], now: float) -> bool:
    """Whether the environment is known to be fit and no back-off is pending."""
    return ledger.fitness is Fitness.FIT and now >= ledger.restarts.not_before


def _next_start(ledger: Ledger[W], counts: Counts) -> float | None:
    if not starts(ledger.limits, counts) and not ledger.roster.due():
        return None
    if ledger.fitness is Fitness.UNFIT:
        return ledger.ask_again_at
    return ledger.restarts.not_before


_RULES: tuple[Callable[[Ledger[Any], Counts, float], Iterator[Action[Any]]], ...] = (
    _promote_spares,
    _drop_spares,
    _dismiss_idle,
    _release_surplus,
    _finish_released,
    _release_useless,
    _kill_stuck,
    _cull_abandoned,
    _drop_stand_ins,
    _replace_due,
    _ask_environment,
    _start_missing,
)

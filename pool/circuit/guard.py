"""Asks a pool's circuits before each call, and tells them how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from pool.circuit.breaker import Breaker, CallVerdict
from pool.circuit.circuits import Circuits, Probes
from pool.config import PoolConfig
from pool.errors import CircuitOpen, RemoteError
from pool.exchange.calls import check_name
from pool.lifecycle import CircuitState
from pool.telemetry.chronicle import Chronicle

_UNGUARDED = nullcontext()


class Guard:
    """`with guard(command):` around one call; raises `CircuitOpen` instead of entering."""

    def __init__(
        self, pool: str, breaker: Breaker, now: Callable[[], float], chronicle: Chronicle
    ) -> None:
        self._breaker = breaker
        self._now = now
        self._chronicle = chronicle
        self._circuits = Circuits(pool, breaker)

    def __call__(self, command: str) -> AbstractContextManager[None]:
        return self._around(command, CallVerdict.SUCCESS)

    def around_many(self, command: str) -> AbstractContextManager[None]:
        """The same around many calls in one frame: what came of each is to be told by `note`."""
        return self._around(command, CallVerdict.NONE)

    def note(self, command: str, error: Exception | None) -> None:
        """A call, one of many, has ended: by this error, or with a result."""
        verdict = self._breaker.judge(error)
        with suppress(CircuitOpen):  # those that were running when it opened count no more
            probes = self._circuits.enter(command, self._now())
            self._leave(command, probes, verdict, "" if error is None else _kind(error))

    @contextmanager
    def _around(self, command: str, success: CallVerdict) -> Iterator[None]:
        check_name(command)
        probes = self._enter(command)
        verdict, failed_with = CallVerdict.NONE, ""
        try:
            yield
            verdict = success
        except BaseException as error:
            failed_with = _kind(error)
            verdict = self._breaker.judge(error)
            raise
        finally:
            # Also if `judge` raised: a probe gives its place back whatever happens.
            self._leave(command, probes, verdict, failed_with)

    def states(self) -> dict[str, str]:
        """The circuits that are not closed."""
        return self._circuits.states(self._now())

    def _enter(self, command: str) -> Probes | None:
        try:
            return self._circuits.enter(command, self._now())
        except CircuitOpen:
            self._chronicle.counters.calls["circuit_open"] += 1
            raise

    def _leave(
        self, command: str, probes: Probes | None, verdict: CallVerdict, failed_with: str
    ) -> None:
        changed = self._circuits.leave(command, probes, verdict, self._now(), failed_with)
        if changed is CircuitState.OPEN:
            self._chronicle.circuit_opened(command, failed_with, self._breaker.open_for)
        elif changed is CircuitState.CLOSED:
            self._chronicle.circuit_closed(command)


def guard_of(config: PoolConfig, now: Callable[[], float], chronicle: Chronicle) -> Guard | None:
    """The guard that a pool is configured to have."""
    if config.breaker is None:
        return None
    return Guard(config.pool_name, config.breaker, now, chronicle)


def unguarded(command: str) -> AbstractContextManager[None]:
    """What a call is made in where there is no guard."""
    return _UNGUARDED


def _kind(error: BaseException) -> str:
    """What failed, without any data of the call: another caller may get to read it."""
    name = type(error).__name__
    if isinstance(error, RemoteError) and error.error_type:
        return f"{name} ({error.error_type[:100]})"
    return name

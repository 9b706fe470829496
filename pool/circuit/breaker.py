"""The settings of the circuit breaker, and what the end of a call says about its command. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pool.errors import (
    BrokenWorkerError,
    CallTimeout,
    ProtocolError,
    RemoteError,
    ResultTypeError,
)

Counts = tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which errors are failures: of these classes, or those for which a function says so."""

FAILURES = (BrokenWorkerError, ProtocolError, CallTimeout, RemoteError)
"""Errors for which a command can be to blame. The others blame the caller, its place in the
queue, or the pool as a whole, which has rules of its own for that (back-off, crash loop)."""


class CallVerdict(Enum):
    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """Has calls of a command refused for a while when they keep failing.

    ::

        WorkerPool("my_bridge:bridge", breaker=Breaker(failures=3, open_for=10.0))

    Every command has a circuit of its own, for `pool.call` and all leases
    together. It is closed at first. After `failures` calls in a row failed it
    is open: calls raise `CircuitOpen` at once, and nothing is encoded, queued
    or sent. After `open_for` seconds it is half-open: probes pass, at most as
    many at a time as successes are missing. A probe that fails opens it again;
    `successes` of them in a row close it.

    A call counts once, as its caller sees it, repetitions included. It has
    failed if `counts` says so of its error. It has succeeded if the command
    answered otherwise: with a result, even of another type than the
    `result_type`, or with an error that does not count. Anything else says
    nothing about the command: a cancelled call, one that got no worker, and
    one whose error tells that its request was not sent. So a limit that
    cancels, such as `asyncio.timeout`, is no failure; `timeout=` is.

    In the closed state, calls count in the order in which they end. Those that
    were running when the circuit opened count no more until it has closed.

    Raises `ValueError` for settings that cannot be. The defaults of `failures`,
    `successes` and `open_for` are those of the circuit breaker of Powertools for
    AWS Lambda (Python).
    """

    failures: int = 5
    """Failures in a row that open a circuit."""
    successes: int = 3
    """Successful probes in a row that close it again."""
    open_for: float = 30.0
    """Seconds from the opening to the first probe."""
    counts: Counts = FAILURES
    """What counts as a failure: a tuple of exception classes, or a function that is given the
    error and says so. By default: a worker lost in the call, bytes that make no sense, a call that
    timed out, an exception in the command. The last includes bad arguments, a `RemoteError` with
    the `error_type` "ArgumentError": a function can leave those out, so that one caller's mistakes
    do not cost the others. What the function raises reaches the caller."""

    def __post_init__(self) -> None:
        problem = _first_problem(self)
        if problem is not None:
            raise ValueError(f"Breaker: {problem}")

    def judge(self, error: BaseException | None) -> CallVerdict:
        """What the end of a call, by this error or by a result, says about its command."""
        if error is None:
            return CallVerdict.SUCCESS
        if not isinstance(error, Exception) or getattr(error, "request_sent", True) is False:
            return CallVerdict.NONE
        if self._is_failure(error):
            return CallVerdict.FAILURE
        answered = isinstance(error, RemoteError | ResultTypeError)
        return CallVerdict.SUCCESS if answered else CallVerdict.NONE

    def _is_failure(self, error: Exception) -> bool:
        if isinstance(self.counts, tuple):
            return isinstance(error, self.counts)
        return self.counts(error)


def _first_problem(breaker: Breaker) -> str | None:
    for name in ("failures", "successes"):
        value = getattr(breaker, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"{name}={value!r} must be a whole number of at least 1"
    return _duration_problem(breaker.open_for) or _counts_problem(breaker.counts)


def _duration_problem(open_for: object) -> str | None:
    numeric = isinstance(open_for, int | float) and not isinstance(open_for, bool)
    if not numeric or not math.isfinite(open_for) or open_for <= 0:  # type: ignore[arg-type,operator]
        return f"open_for={open_for!r} must be a number of seconds above 0"
    return None


def _counts_problem(counts: object) -> str | None:
    if isinstance(counts, tuple):
        if not counts:
            return "counts=() would never open a circuit; leave the breaker out instead"
        odd = [item for item in counts if not _is_error_class(item)]
        if odd:
            return f"counts has {odd[0]!r}, which is no subclass of Exception"
    elif isinstance(counts, type) or not callable(counts):
        return f"counts={counts!r} must be a tuple of exception classes or a function"
    return None


def _is_error_class(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, Exception)

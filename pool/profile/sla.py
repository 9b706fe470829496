"""Whether a profile keeps what was agreed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from pool.profile.report import Command, Report


class Violation(Struct, frozen=True):
    """A term that a command does not keep. Seconds, or a share from 0 to 1 for "success"."""

    command: str
    term: str
    limit: float
    measured: float

    def __str__(self) -> str:
        if self.term == "success":
            return f"{self.command}: success {self.measured:.4%}, at least {self.limit:.4%} agreed"
        return f"{self.command}: {self.term} {self.measured:.6g} s, {self.limit:g} s agreed"


class Verdict(Struct, frozen=True):
    """True if there are no violations."""

    violations: tuple[Violation, ...]

    def __bool__(self) -> bool:
        return not self.violations


def _of_call(name: str) -> Callable[[Command], float | None]:
    def measured(command: Command) -> float | None:
        durations = command.durations.get("call")
        return None if durations is None else getattr(durations, name)

    return measured


def _queue_wait(command: Command) -> float | None:
    wait = command.durations.get("queue wait")
    return None if wait is None else wait.p95


TERMS: dict[str, Callable[[Command], float | None]] = {
    **{name: _of_call(name) for name in ("mean", "max", "p50", "p90", "p95", "p99")},
    "queue_wait": _queue_wait,
}
"""What may be agreed besides `success`: at most so many seconds."""


def check(report: Report, command: str | None = None, **terms: float) -> Verdict:
    """Compare each command, or the one that is named, with the terms.

    `success` is the least share of calls with a good reply, from 0 to 1; `mean`,
    `max`, `p50`, `p90`, `p95` and `p99` the most seconds of a call without its wait,
    `queue_wait` the most seconds of that wait's 95th percentile. Raises `TypeError`
    for another term, `KeyError` for a command that was not called.
    """
    unknown = sorted(terms.keys() - TERMS.keys() - {"success"})
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: the terms are success, {', '.join(TERMS)}")
    commands = report.commands if command is None else (report.command(command),)
    return Verdict(tuple(v for called in commands for v in _violations(called, terms)))


def _violations(command: Command, terms: dict[str, float]) -> Iterator[Violation]:
    for term, limit in terms.items():
        if term == "success":
            if command.success < limit:
                yield Violation(command.name, term, limit, command.success)
            continue
        measured = TERMS[term](command)
        if measured is not None and measured > limit:
            yield Violation(command.name, term, limit, measured)

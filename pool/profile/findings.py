"""What in a profile exceeds its threshold, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from statistics import median

from msgspec.structs import replace

from pool.profile.report import Command, Distribution, Report
from pool.profile.thresholds import Finding, Thresholds, severity
from pool.profile.units import duration, size, times

SLOW = 1.0
"""Seconds of a command's 95th percentile, where there is nothing to compare it with."""

MANY = 5
"""Commands among which one can be said to take longer than the others."""

ADVICE = {
    "slow": "Look at its phases: what the command itself takes is to be made faster in the bridge "
    "(`with bridge.phase(...)` shows where), what transport takes is the size of its arguments "
    "and results. If it has to take so long, give it a timeout of its own.",
    "high variance": "Most of its calls are quick and some are not. Compare the slowest calls with "
    "the last ones: other arguments, one worker alone, or something that is filled, loaded or "
    "fetched now and then. Do that when the worker starts, or as a command of its own.",
    "queueing": "Callers wait for a worker for longer than they should. Raise `size` or `overflow` "
    "if there are processors to spare, let more calls run at a time on each worker "
    "(`concurrency`, for async commands), or send less.",
    "start": "Do once for all workers what each of them does: import and load in `@bridge.preload` "
    'with `start_method="forkserver"`. Keep workers warm before they are needed: `min_ready`, '
    "`spares`, `wait_ready()`. `bridgepool doctor --timings` says what each step costs.",
    "leak": "Something is kept after each call: a list that grows, a cache without a limit. Until "
    "it is found, `max_memory` or `max_calls` replaces workers before they are too large, and "
    "no call is lost by that.",
}


def judge(report: Report, thresholds: Thresholds) -> Report:
    """The same profile, with its findings by these thresholds."""
    return replace(report, thresholds=thresholds, findings=tuple(find(report, thresholds)))


def find(report: Report, thresholds: Thresholds) -> list[Finding]:
    """All findings, the worst first."""
    found = [finding for rule in RULES for finding in rule(report, thresholds)]
    return sorted(found, key=lambda finding: -finding.ratio)


def _finding(
    kind: str, subject: str, measured: float, threshold: float, says: str
) -> Iterator[Finding]:
    ratio = measured / threshold if threshold > 0 else inf if measured > 0 else 0.0
    word = severity(ratio)
    if word is not None:
        yield Finding(kind, word, subject, ratio, measured, threshold, says, ADVICE[kind])


def _called(report: Report, thresholds: Thresholds) -> list[tuple[Command, Distribution]]:
    """The commands that were called often enough, each with the durations of its calls."""
    enough = [command for command in report.commands if command.count >= thresholds.calls]
    return [
        (command, command.durations["call"]) for command in enough if "call" in command.durations
    ]


def _noise(report: Report, thresholds: Thresholds) -> float:
    """Seconds by which calls may differ for reasons that are not the bridge's."""
    lag = report.loop_lag
    return thresholds.noise + (lag.p95 if lag is not None else 0.0)


# Rules


def _slow(report: Report, thresholds: Thresholds) -> Iterator[Finding]:
    called = _called(report, thresholds)
    for command, calls in called:
        others = [other.p95 for _, other in called if other is not calls]
        allowed, why = _allowed(others, thresholds, _noise(report, thresholds))
        says = f"One call of {command.name} in twenty takes {duration(calls.p95)} or more, {why}."
        yield from _finding("slow", command.name, calls.p95, allowed, says)


def _allowed(others: list[float], thresholds: Thresholds, noise: float) -> tuple[float, str]:
    """What a command's 95th percentile may be, and how that is said."""
    if thresholds.slow is not None:
        return thresholds.slow, f"where {duration(thresholds.slow)} is allowed"
    usual = median(others) if len(others) + 1 >= MANY else inf
    outlying = max(noise, thresholds.outlier * usual)
    if outlying < SLOW:
        return outlying, f"where {duration(usual)} is usual for the other commands"
    return SLOW, f"more than {duration(SLOW)}"


def _high_variance(report: Report, thresholds: Thresholds) -> Iterator[Finding]:
    for command, calls in _called(report, thresholds):
        if calls.p95 - calls.p50 <= _noise(report, thresholds):
            continue
        spread = calls.p95 / max(calls.p50, 1e-6)
        says = (
            f"Half of the calls of {command.name} take less than {duration(calls.p50)}, "
            f"but one in twenty {duration(calls.p95)} or more, {times(spread)} as long."
        )
        yield from _finding("high variance", command.name, spread, thresholds.variance, says)


def _queueing(report: Report, thresholds: Thresholds) -> Iterator[Finding]:
    wait, called = report.queue_wait, _called(report, thresholds)
    if wait is None or wait.count < thresholds.calls or not called:
        return
    usual = max(called, key=lambda pair: pair[1].total)[1].p50
    says = (
        f"One checkout in twenty waits {duration(wait.p95)} or more for a worker; a call takes "
        f"{duration(usual)} in the median."
    )
    allowed = max(thresholds.queueing, usual)
    yield from _finding("queueing", "checkouts", wait.p95, allowed, says)


def _start(report: Report, thresholds: Thresholds) -> Iterator[Finding]:
    if not report.starts:
        return
    took = median(start.ready for start in report.starts)
    start_up = median(start.start_up for start in report.starts)
    part = f", {duration(start_up)} of it in its start-up functions" if start_up > 0.01 else ""
    says = f"A worker takes {duration(took)} to start in the median of {len(report.starts)}{part}."
    yield from _finding("start", "workers", took, thresholds.start, says)


def _leak(report: Report, thresholds: Thresholds) -> Iterator[Finding]:
    leaking = [worker for worker in report.workers if worker.trend.leak_suspected]
    if not leaking:
        return
    worst = max(leaking, key=lambda worker: worker.trend.growth / worker.trend.allowed)
    trend = worst.trend
    calls = f", {size(trend.bytes_per_call)} with each call" if trend.bytes_per_call > 0 else ""
    says = (
        f"The memory of {len(leaking)} of {len(report.workers)} workers grows and does not stop: "
        f"that of {worst.name} by {size(trend.bytes_per_second)} a second{calls}."
    )
    yield from _finding("leak", "workers", trend.growth, trend.allowed * thresholds.leak, says)


Rule = Callable[[Report, Thresholds], Iterator[Finding]]

RULES: tuple[Rule, ...] = (_slow, _high_variance, _queueing, _start, _leak)
"""One for each kind."""

"""What has changed between two profiles. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from msgspec import Struct

from pool.profile.report import Command, Report
from pool.profile.units import duration, share, size

NOISE = 0.1
"""Relative change below which two measurements say the same; percentiles alone are 1 % off."""

NOISE_SECONDS = 20e-6
"""Seconds by which they may differ beside that."""

JUDGED = ("success", "call P50", "call P95")
"""The measures by which a profile as a whole is worse: others vary from run to run."""

QUANTILES = ("p50", "p95", "p99")


class Change(Struct, frozen=True):
    """A measure of `subject` before and after; `unit` is "s", "B" or "share".

    `better` is None if the two differ by less than `NOISE` and `NOISE_SECONDS`.
    """

    subject: str
    measure: str
    unit: str
    before: float
    after: float

    @property
    def better(self) -> bool | None:
        if self.unit == "share":
            return None if abs(self.after - self.before) < 1e-4 else self.after > self.before
        least = NOISE_SECONDS if self.unit == "s" else 0.0
        if abs(self.after - self.before) <= max(least, NOISE * self.before):
            return None
        return self.after < self.before

    def __str__(self) -> str:
        show = {"s": duration, "B": size, "share": share}[self.unit]
        return f"{show(self.before)} to {show(self.after)}{self._by()}"

    def _by(self) -> str:
        if self.unit == "share" or not self.before:
            return ""
        return f" ({self.after / self.before - 1:+.0%})"


class Comparison(Struct, frozen=True):
    """All that both profiles measured, and what only one of them has."""

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    findings_gone: tuple[str, ...]
    findings_new: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """Whether a command is slower or fails more often, or there is a new finding."""
        judged = [change for change in self.changes if change.measure in JUDGED]
        return bool(self.findings_new) or any(change.better is False for change in judged)


def compare(old: Report, new: Report) -> Comparison:
    """What is other in the new one."""
    before = {command.name: command for command in old.commands}
    after = {command.name: command for command in new.commands}
    both = [name for name in before if name in after]
    findings_old = {f"{finding.kind} of {finding.subject}" for finding in old.findings}
    findings_new = {f"{finding.kind} of {finding.subject}" for finding in new.findings}
    changes = [change for name in both for change in _command(before[name], after[name])]
    return Comparison(
        changes=(*changes, *_workers(old, new)),
        gone=tuple(name for name in before if name not in after),
        new=tuple(name for name in after if name not in before),
        findings_gone=tuple(sorted(findings_old - findings_new)),
        findings_new=tuple(sorted(findings_new - findings_old)),
    )


def _command(old: Command, new: Command) -> Iterator[Change]:
    yield Change(old.name, "success", "share", old.success, new.success)
    for phase, before in old.durations.items():
        after = new.durations.get(phase)
        if after is not None:
            for name in QUANTILES if phase == "call" else ("p95",):
                measure = f"{phase} {name.upper()}"
                yield Change(old.name, measure, "s", getattr(before, name), getattr(after, name))


def _workers(old: Report, new: Report) -> Iterator[Change]:
    if old.starts and new.starts:
        starts = [median(start.ready for start in report.starts) for report in (old, new)]
        yield Change("workers", "start", "s", *starts)
    if old.workers and new.workers:
        peaks = [max(worker.peak for worker in report.workers) for report in (old, new)]
        yield Change("workers", "peak memory", "B", *map(float, peaks))

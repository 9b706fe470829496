"""A report as text: whole, in one line, or call by call. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pool.profile.compare import Comparison
from pool.profile.report import Call, Command, Distribution, Report
from pool.profile.trend import tells
from pool.profile.units import counted, duration, share, size
from pool.quotes import plain

WIDTH = 100


def as_line(report: Report) -> str:
    """The profile in one line."""
    worst = report.findings[0] if report.findings else None
    finding = (
        f"{counted(len(report.findings), 'finding')}, the worst: {worst.severity}, {worst.kind} of "
        f"{plain(worst.subject)}"
        if worst is not None
        else "no findings"
    )
    return f"{_summary(report)}; {finding}"


def _summary(report: Report) -> str:
    rate = report.calls / report.seconds if report.seconds else 0.0
    return (
        f"{plain(report.pool)}: {counted(report.calls, 'call')} of "
        f"{counted(len(report.commands), 'command')} in "
        f"{duration(report.seconds)} ({rate:,.0f}/s), {share(report.success)} successful"
    )


def as_text(report: Report) -> str:
    """The profile for a terminal, findings first."""
    parts = (_findings, _commands, _phases, _workers, _timeouts)
    blocks = [_summary(report), *("\n".join(part(report)) for part in parts)]
    return "\n\n".join(block for block in blocks if block)


def _findings(report: Report) -> Iterator[str]:
    if not report.findings:
        yield "No findings."
    for finding in report.findings:
        yield f"{finding.severity.upper()}  {finding.kind}, {plain(finding.subject)}"
        for text in (plain(finding.says), finding.advice):
            yield textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _commands(report: Report) -> Iterator[str]:
    if not report.commands:
        return
    head = ["command", "calls", "success", "P50", "P90", "P95", "P99", "max", "peak memory"]
    yield from _table([head, *map(_command_row, report.commands)])


def _command_row(command: Command) -> list[str]:
    row = [plain(command.name), f"{command.count:,}", share(command.success)]
    memory = "-" if command.peak_memory is None else size(command.peak_memory)
    return [*row, *_percentiles(command.durations.get("call")), memory]


def _percentiles(known: Distribution | None) -> list[str]:
    if known is None:
        return ["-"] * 5
    return [duration(value) for value in (known.p50, known.p90, known.p95, known.p99, known.max)]


def _phases(report: Report) -> Iterator[str]:
    rows = [
        [plain(command.name), plain(phase), duration(known.total), *_percentiles(known)]
        for command in report.commands
        for phase, known in (command.durations | command.phases).items()
        if phase != "call"
    ]
    if rows:
        head = ["command", "phase", "in all", "P50", "P90", "P95", "P99", "max"]
        yield from _table([head, *rows], texts=2)


def _workers(report: Report) -> Iterator[str]:
    if report.starts:
        took = sorted(start.ready for start in report.starts)
        yield (
            f"starts   {len(took)}, {duration(took[len(took) // 2])} in the median, "
            f"{duration(took[-1])} at most"
        )
    if report.exits:
        yield "exits    " + ", ".join(f"{n} {reason}" for reason, n in report.exits.items())
    if report.refused:
        yield "refused  " + ", ".join(f"{n} {why}" for why, n in report.refused.items())
    for name, known in (("waiting", report.queue_wait), ("lag", report.loop_lag)):
        if known is not None:
            yield f"{name:<7}  P95 {duration(known.p95)}, {duration(known.max)} at most"
    if report.workers:
        peak = max(worker.peak for worker in report.workers)
        grow = sum(worker.trend.leak_suspected for worker in report.workers)
        brief = sum(not tells(worker.memory) for worker in report.workers)
        unknown = f", {brief} seen too shortly to tell" if brief else ""
        of = len(report.workers)
        yield f"memory   {size(peak)} at most in a worker, {grow} of {of} grow{unknown}"


def _timeouts(report: Report) -> Iterator[str]:
    timeouts = report.timeouts()
    if timeouts:
        listed = ", ".join(f"{plain(name)} {duration(s)}" for name, s in timeouts.items())
        text = f"Timeouts that would suit (twice the P95): {listed}."
        yield textwrap.fill(text, WIDTH)


def as_calls(report: Report) -> str:
    """The slowest calls and the last ones, one by one."""
    return "\n\n".join(
        "\n".join([f"{title} calls", *_calls(calls)])
        for title, calls in (("slowest", report.slowest), ("last", report.last))
    )


def _calls(calls: Sequence[Call]) -> Iterator[str]:
    head = ["command", "worker", "outcome", "ended at", "waited", "took", "computed", "phases"]
    yield from _table([head, *map(_call_row, calls)], texts=3)


def _call_row(call: Call) -> list[str]:
    return [
        plain(call.command),
        plain(call.worker),
        call.outcome,
        f"{call.at:.3f} s",
        duration(call.waited),
        duration(call.seconds),
        "-" if call.compute is None else duration(call.compute),
        ", ".join(f"{plain(name)} {duration(s)}" for name, s in call.phases.items()) or "-",
    ]


def comparison_text(comparison: Comparison) -> str:
    """What has changed, for a terminal; what has not is left out."""
    return "\n\n".join(block for block in map("\n".join, _compared(comparison)) if block)


def _compared(comparison: Comparison) -> Iterator[list[str]]:
    for better, title in ((False, "Worse"), (True, "Better")):
        rows = [
            [plain(change.subject), change.measure, str(change)]
            for change in comparison.changes
            if change.better is better
        ]
        yield [title, *_table(rows, texts=3)] if rows else []
    yield [
        f"{title}: {', '.join(map(plain, names))}"
        for title, names in (
            ("New findings", comparison.findings_new),
            ("Findings gone", comparison.findings_gone),
            ("Only in the new profile", comparison.new),
            ("Only in the old profile", comparison.gone),
        )
        if names
    ]
    same = sum(change.better is None for change in comparison.changes)
    yield [f"{same} of {len(comparison.changes)} measures are as they were."]


def _table(rows: Sequence[Sequence[str]], texts: int = 1) -> Iterator[str]:
    """Aligned columns: the first ones, `texts` of them, to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()

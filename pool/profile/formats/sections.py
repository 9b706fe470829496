"""The parts of a report's page that are words and tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from pool.profile.report import Call, Command, Distribution, Report, Worker
from pool.profile.trend import tells
from pool.profile.units import duration, share, size, times
from pool.quotes import plain


def text(value: str) -> str:
    """Fit to stand in a page, whatever it holds."""
    return escape(plain(value))


def facts(report: Report) -> str:
    """The figures at the top."""
    rate = report.calls / report.seconds if report.seconds else 0.0
    waits = report.queue_wait
    peak = max((worker.peak for worker in report.workers), default=None)
    shown = {
        "Calls": f"{report.calls:,}",
        "Calls a second": f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}",
        "Successful": share(report.success),
        "Waiting, P95": "-" if waits is None else duration(waits.p95),
        "Workers started": f"{len(report.starts):,}",
        "Largest worker": "-" if peak is None else size(peak),
    }
    cells = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())
    return f'<dl class="facts">{"".join(cells)}</dl>'


def findings(report: Report) -> str:
    """What is wrong, each with what to do."""
    if not report.findings:
        told = any(tells(worker.memory) for worker in report.workers)
        grow = "" if told else " Whether workers grow cannot be told of so short a time."
        return (
            '<div class="finding good"><b>nothing found</b><p>No command is slow or uneven, nobody '
            f"waits for long, workers start quickly{' and do not grow' if told else ''}: all is "
            f"within its threshold.{grow}</p></div>"
        )
    return "".join(
        f'<article class="finding {finding.severity}"><b>{finding.severity}</b> '
        f"<h3>{text(finding.kind.capitalize())}: {text(finding.subject)}</h3>"
        f"<p>{text(finding.says)} That is {times(finding.ratio)} the threshold.</p>"
        f"<p><strong>What to do.</strong> {_code(finding.advice)}</p></article>"
        for finding in report.findings
    )


def _code(advice: str) -> str:
    """What is between backticks is shown as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", text(advice))


def commands(report: Report) -> str:
    head = ("Command", "Calls", "Success", "P50", "P90", "P95", "P99", "Max", "Worker memory")
    rows = ([*_command(command), *_percentiles(command)] for command in report.commands)
    memory = (
        "-" if command.peak_memory is None else size(command.peak_memory)
        for command in report.commands
    )
    return table(head, ([*row, cell] for row, cell in zip(rows, memory, strict=True)))


def _command(command: Command) -> list[str]:
    return [command.name, f"{command.count:,}", share(command.success)]


def _percentiles(command: Command) -> list[str]:
    return _row(command.durations.get("call"))


def _row(known: Distribution | None) -> list[str]:
    if known is None:
        return ["-"] * 5
    return [duration(value) for value in (known.p50, known.p90, known.p95, known.p99, known.max)]


def phases(report: Report) -> str:
    head = ("Command", "Phase", "Count", "In all", "P50", "P90", "P95", "P99", "Max")
    rows = (
        [command.name, name, f"{known.count:,}", duration(known.total), *_row(known)]
        for command in report.commands
        for name, known in _phases(command).items()
    )
    return table(head, rows, texts=2)


def _phases(command: Command) -> dict[str, Distribution]:
    """Those of a call, and the command's own in quotation marks."""
    own = {f"“{name}”": known for name, known in command.phases.items()}
    return {n: known for n, known in command.durations.items() if n != "call"} | own


def timeouts(report: Report) -> str:
    rows = ([name, duration(seconds)] for name, seconds in report.timeouts().items())
    return table(("Command", "Timeout"), rows)


def workers(report: Report) -> str:
    head = ("Worker", "Calls", "Peak", "Trend", "A second", "A call")
    return table(
        head,
        (
            [
                worker.name,
                f"{worker.memory[-1].calls:,}" if worker.memory else "-",
                size(worker.peak),
                _trend(worker),
                size(worker.trend.bytes_per_second),
                size(worker.trend.bytes_per_call),
            ]
            for worker in report.workers
        ),
    )


def _trend(worker: Worker) -> str:
    if not tells(worker.memory):
        return "-"
    return "grows" if worker.trend.leak_suspected else worker.trend.direction


def calls(shown: Sequence[Call]) -> str:
    head = ("Command", "Worker", "Outcome", "Ended at", "Waited", "Took", "Computed", "Phases")
    return table(head, map(_call, shown), texts=3)


def _call(call: Call) -> list[str]:
    return [
        call.command,
        call.worker,
        call.outcome,
        f"{call.at:.3f} s",
        duration(call.waited),
        duration(call.seconds),
        "-" if call.compute is None else duration(call.compute),
        ", ".join(f"{name} {duration(seconds)}" for name, seconds in call.phases.items()),
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """The first columns, `texts` of them, are words. Wider than the page, it scrolls by itself."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = [' class="text"' if place < texts else "" for place in range(len(cells))]
        inner = (
            f"<{tag}{kind}>{text(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table><thead>{line(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )

"""A report as CSV: a row for each phase of each command. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from pool.profile.report import Command, Report
from pool.quotes import plain

_DURATIONS = ("total", "mean", "min", "max", "p50", "p90", "p95", "p99")

COLUMNS = (
    *("command", "phase", "count"),
    *(f"{name}_s" for name in _DURATIONS),
    *("calls", "success", "peak_memory_bytes"),
)


def as_csv(report: Report) -> str:
    """Seconds, bytes and shares, in full. A phase of the command's own is `phase:NAME`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for command in report.commands:
        writer.writerows(_rows(command))
    return text.getvalue()


def _rows(command: Command) -> Iterator[list[object]]:
    own = {f"phase:{name}": known for name, known in command.phases.items()}
    of_command = [command.count, command.success, command.peak_memory]
    for phase, known in (command.durations | own).items():
        durations = [getattr(known, name) for name in _DURATIONS]
        yield [_harmless(command.name), _harmless(phase), known.count, *durations, *of_command]


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins so for a formula (OWASP, CSV injection)."""
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

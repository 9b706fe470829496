"""The two tables of a frame: commands and workers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from rich.table import Table
from rich.text import Text

from pool.cli.top import words
from pool.cli.top.snapshot import Times, WorkerRow

Row = TypeVar("Row")

STATES = {
    "starting": "cyan",
    "idle": "default",
    "busy": "green",
    "spare": "blue",
    "abandoned": "yellow",
    "stopping": "magenta",
}
"""Of workers, in the order in which they are counted, each with its colour."""


class _Column(NamedTuple, Generic[Row]):
    """A column that is shown where the screen has `least` columns or more."""

    title: str
    cell: Callable[[Row], str | Text]
    least: int = 0


_LEAST_WIDTHS = {"left": 9, "right": 7}
"""Columns do not move when a figure gets a digit more."""

WORKERS: tuple[_Column[WorkerRow], ...] = (
    _Column("worker", lambda row: words.clean(row.stats.name)),
    _Column("pid", lambda row: words.NOTHING if row.stats.pid is None else str(row.stats.pid), 80),
    _Column("state", lambda row: state(row.stats.state)),
    _Column("calls", lambda row: f"{row.stats.calls:,}", 80),
    _Column("calls/s", lambda row: words.rate(row.rate)),
    _Column("age", lambda row: words.age(row.stats.age), 50),
    _Column("memory", lambda row: words.size(row.resident), 50),
    _Column("cpu", lambda row: words.share(row.cpu), 60),
)
COMMANDS: tuple[_Column[Times], ...] = (
    _Column("command", lambda row: words.clean(row.name)),
    _Column("calls/s", lambda row: words.rate(row.rate)),
    _Column("not ok/s", lambda row: Text(words.rate(row.failing), trouble(row.failing)), 60),
    _Column("p50", lambda row: words.duration(row.p50), 50),
    _Column("p95", lambda row: words.duration(row.p95)),
    _Column("p99", lambda row: words.duration(row.p99), 50),
)


def state(name: str) -> Text:
    """A worker's state in its colour; foreign words are possible."""
    return Text(words.clean(name), STATES.get(name, "default"))


def trouble(amount: float) -> str:
    """The style of a figure that should be 0."""
    return "yellow" if amount > 0 else ""


def table(columns: Sequence[_Column[Any]], rows: Sequence[Any], width: int) -> Table:
    """Rows with the columns that have room; the first takes what is left of the width."""
    shown = [column for column in columns if width >= column.least]
    made = Table(box=None, header_style="bold", pad_edge=False, width=width)
    for column in shown:
        first = column is shown[0]
        side: Literal["left", "right"] = "left" if first or column.title == "state" else "right"
        made.add_column(
            column.title,
            justify=side,
            no_wrap=True,
            overflow="ellipsis",
            min_width=_LEAST_WIDTHS[side],
            ratio=1 if first else None,
        )
    for row in rows:
        made.add_row(*(_text(column.cell(row)) for column in shown))
    return made


def _text(cell: str | Text) -> Text:
    """Never markup: a name may look like it."""
    return cell if isinstance(cell, Text) else Text(cell)

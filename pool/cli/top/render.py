"""A frame on a screen of any size. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from pool.cli.top import words
from pool.cli.top.columns import COMMANDS, STATES, WORKERS, table
from pool.cli.top.frame import Frame
from pool.cli.top.snapshot import Snapshot, WorkerRow
from pool.cli.top.summary import heading, lines

LABEL = 10
"""Columns of what a line is about."""

FIGURE = 14
"""Columns beside a history."""

BESIDE = 80
"""Columns from which on a title has room for name and source."""

WIDEST = 100
"""Columns beyond which a table is only harder to read."""

LEAST_ROWS = 3
"""Rows that each of the tables gets where the screen has too few."""


class View:
    """Renders a frame for whatever width the console has.

    With a `height`, in lines, the tables are cut so that it fits, and what is left
    out is counted.
    """

    def __init__(self, frame: Frame, height: int | None = None) -> None:
        self._frame = frame
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._frame.snapshot
        above = list(_head(self._frame, options.max_width))
        yield from above
        if snapshot is None:
            return
        style = "" if self._frame.problem is None else "dim"
        summary = [_labelled(list(lines(snapshot))), _histories(snapshot, options)]
        taken = sum(len(console.render_lines(each, options)) for each in (*above, *summary))
        # The titles of the tables and the empty lines above them take four.
        room = None if self._height is None else max(0, self._height - taken - 4)
        for each in (*summary, *_tables(snapshot, options.max_width, room)):
            yield Styled(each, style)


def _head(frame: Frame, width: int) -> Iterator[RenderableType]:
    yield _title(frame, width)
    if frame.problem is not None:
        yield _problem(frame)
    if frame.progress:
        yield Text(frame.progress)


def _title(frame: Frame, width: int) -> RenderableType:
    """Name and source, beside each other where there is room."""
    snapshot = frame.snapshot
    name = Text("no figures yet") if snapshot is None else heading(snapshot.stats)
    window = 0.0 if snapshot is None else snapshot.window
    over = f", rates over {window:.{0 if window >= 1 else 1}f} s" if window else ""
    source = Text(words.clean(frame.source) + over, "dim")
    if width < BESIDE:
        return Group(name, source)
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    grid.add_row(name, source)
    return grid


def _problem(frame: Frame) -> Text:
    old = f"; these figures are {words.age(frame.old)} old" if frame.snapshot is not None else ""
    return Text(f"NO ANSWER: {words.clean(frame.problem or '')}{old}", "bold red")


def _labelled(rows: Sequence[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL, style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label), text)
    return grid


def _histories(snapshot: Snapshot, options: ConsoleOptions) -> Table:
    room = max(1, options.max_width - LABEL - FIGURE - 2)
    series = (
        ("calls/s", snapshot.throughput, words.rate, "green"),
        ("waiting", snapshot.queue, "{:,.0f}".format, "yellow"),
    )
    rows = []
    for label, values, figure, style in series:
        curve = Text(words.sparkline(values, room, ascii_only=options.ascii_only), style)
        most = figure(max(values[-room:], default=0.0))
        rows.append((label, curve.append(f"  max {most}", "default")))
    return _labelled(rows)


def _tables(snapshot: Snapshot, width: int, room: int | None) -> Iterator[RenderableType]:
    commands, workers, width = snapshot.commands, snapshot.workers, min(width, WIDEST)
    most_commands, most_workers = _shares(len(commands), len(workers), room)
    if commands:
        yield Text()
        yield table(COMMANDS, commands[:most_commands], width)
    if workers:
        shown, left_out = workers[:most_workers], workers[most_workers:]
        yield Text()
        yield table(WORKERS, shown, width)
        if left_out:
            yield Text(_left_out(left_out), "dim")


def _shares(commands: int, workers: int, room: int | None) -> tuple[int, int]:
    """How many rows each table may have: commands a third at most if there is too little."""
    if room is None or commands + workers <= room:
        return commands, workers
    for_commands = min(commands, max(LEAST_ROWS, room // 3))
    for_workers = max(LEAST_ROWS, room - for_commands)
    # One line says what is left out.
    return for_commands, workers if workers <= for_workers else for_workers - 1


def _left_out(rows: Sequence[WorkerRow]) -> str:
    counts = Counter(row.stats.state for row in rows)
    kinds = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return f"and {len(rows)} more: {kinds}"

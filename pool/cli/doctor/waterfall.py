"""A cold start as people see it: a bar for each step, where it lies in the whole."""

from __future__ import annotations

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from pool.cli.doctor.steps import ColdStart


def waterfall(start: ColdStart) -> Table:
    """A row for each step, with its milliseconds, and one for all."""
    table = Table(box=None, expand=True, pad_edge=False, show_footer=True)
    table.add_column("cold start", "total", no_wrap=True)
    table.add_column("ms", f"{start.total_s * 1000:.1f}", justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    for step in start.steps:
        end = step.begin_s + step.seconds
        bar = Bar(start.total_s, step.begin_s, end)
        table.add_row(Text(step.step), f"{step.seconds * 1000:.1f}", bar)
    return table

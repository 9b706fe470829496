"""How far a run is, while it goes on and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from pool.cli.bar import bar
from pool.cli.map.output import Output


@contextmanager
def progress(out: Output, total: int | None, began: float) -> Iterator[Callable[[], None]]:
    """A bar of the items that are in the output, drawn anew by each call of what is given."""
    before = out.earlier.done.count
    columns = (
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed, {task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
    )
    with bar("items", *columns, total=total, completed=before, failed=0, rate=0.0) as update:

        def show() -> None:
            rate = out.added / (monotonic() - began)
            failed = out.earlier.failed + out.failed
            update(completed=before + out.added, failed=failed, rate=rate)

        yield show


def summary(out: Output, seconds: float) -> str:
    """What is done and how long it took."""
    earlier = out.earlier
    return (
        f"{earlier.done.count} done before, {earlier.failed} of them failed; "
        f"{out.added} done now, {out.failed} failed; "
        f"{seconds:.2f} s, {out.added / seconds:.1f} per second"
    )

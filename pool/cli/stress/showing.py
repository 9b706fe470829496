"""How far a run of the stress command is, while it goes on: the pool itself, or a bar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import MofNCompleteColumn, TimeElapsedColumn

from pool import WorkerPool
from pool.cli.bar import bar, is_shown
from pool.cli.stress.load import Load
from pool.cli.stress.measured import Measured
from pool.cli.top.live import Drawn, live
from pool.cli.top.nearby import Nearby

Show = Callable[[], None]
"""Takes note of how far the run is; may be called at any time."""


def showing(
    pool: WorkerPool, load: Load, measured: Measured, *, view: bool
) -> AbstractContextManager[Show]:
    """Show the run on stderr while the block runs, as a `view` of the pool or as a bar.

    Nothing is shown where stderr is no terminal.
    """
    if view and is_shown():
        return _view(pool, load, measured)
    return _bar(load, measured)


@contextmanager
def _bar(load: Load, measured: Measured) -> Iterator[Show]:
    columns = MofNCompleteColumn(), TimeElapsedColumn()
    with bar("operations", *columns, total=load.operations) as update:
        yield lambda: update(completed=measured.ended)


@contextmanager
def _view(pool: WorkerPool, load: Load, measured: Measured) -> Iterator[Show]:
    now = asyncio.get_running_loop().time
    drawn = Drawn("stress", Nearby(pool.stats, measured, now).read)
    began = now()
    with live(drawn):
        yield lambda: drawn.look(now(), _so_far(measured, load, now() - began))


def _so_far(measured: Measured, load: Load, seconds: float) -> str:
    of = "" if load.operations is None else f" of {load.operations:,}"
    until = "" if load.duration is None else f" of {load.duration:g}"
    return (
        f"{measured.ended:,}{of} operations: {measured.failed:,} failed, "
        f"{measured.shed:,} shed, {seconds:.0f}{until} s"
    )

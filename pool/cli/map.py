"""`bridgepool map`: call a command for each line of a file, in a run that can be taken up again."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import click
from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from pool import PoolError, WorkerPool
from pool.cli.bar import bar, is_shown
from pool.cli.log import configure_logs
from pool.cli.mapping.dataset import Dataset
from pool.cli.mapping.interruption import Interrupted, Interruption
from pool.cli.mapping.lines import count_lines
from pool.cli.mapping.output import Output, Unusable
from pool.cli.mapping.run import Job, conduct
from pool.cli.options import READABLE, SECONDS, log_level, start_up_options, workers
from pool.config import PoolConfig

_OF_THE_MAP = ("ordered", "max_in_flight", "timeout", "idempotent", "attempts")
_OF_THE_POOL = ("size", "overflow", "concurrency", "start_method", "options")


@click.command("map")
@click.argument("target")
@click.argument("command")
@click.option(
    "--inputs", required=True, type=READABLE, help="A JSON object of arguments on each line."
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where a line for each item goes. What it has already is not called for again.",
)
@workers(size=None, overflow=0)
@click.option(
    "--concurrency",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Calls at a time on one worker; more is for asynchronous commands.",
)
@start_up_options
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=SECONDS,
    help="Seconds for a call, or for a batch of quick ones.",
)
@click.option("--idempotent", is_flag=True, help="Make a call again that lost its worker.")
@click.option(
    "--attempts",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Of a call that may be made again, in all.",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(1),
    help="Items that are under way at most; by default a few for each slot.",
)
@click.option("--ordered", is_flag=True, help="In the order of the input, not as they come.")
@log_level
def map_lines(target: str, command: str, inputs: Path, output: Path, **options: Any) -> None:
    """Call COMMAND of the bridge TARGET for each line of a file.

    The output has a line for each item, {"index": n, "result": ...} or
    {"index": n, "error": {"type", "message", "error_type"}}; n is the number
    of its line, from 0. A blank line is no item; one that is no JSON object is
    an error without a call.

    Interrupted at any moment, even by SIGKILL, the same command goes on from
    there: each item is in the output once, and only those that were under
    way are called a second time. To have items called again that failed,
    remove their lines.

    Exits with 1 if an item failed, in this run or before, or the whole ended
    early; with 2 if nothing could be begun; by SIGINT with 130, by SIGTERM with 143.
    """
    configure_logs(options["log_level"])
    if not inputs.is_file():
        raise click.UsageError(f"{inputs} is no regular file; it is read more than once")
    pool = _make_pool(target, options)
    try:
        with inputs.open("rb", buffering=0) as source, Output(output, source) as out:
            status = _run(pool, command, source, out, options)
    except Unusable as error:
        raise click.UsageError(str(error)) from None
    sys.exit(status)


def _make_pool(target: str, options: dict[str, Any]) -> WorkerPool:
    try:
        options["size"] = options["size"] or PoolConfig(bridge=target).size
        settings: dict[str, Any] = {name: options[name] for name in _OF_THE_POOL}
        # How long an item waits for a worker is bounded by --timeout.
        return WorkerPool(target, checkout_timeout=None, **settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _run(
    pool: WorkerPool, command: str, source: BinaryIO, out: Output, options: dict[str, Any]
) -> int:
    """Call for all that is not done, and say what became of it; return the status to exit with."""
    began, trouble = monotonic(), ""
    with Interruption() as interruption:
        try:
            total = _recover(source, out)
            settings = {name: options[name] for name in _OF_THE_MAP}
            dataset = Dataset(source, out.earlier.done)
            job = Job(command, dataset, out, options["size"], settings)
            with _progress(out, total, began) as show:
                asyncio.run(conduct(job, pool, interruption, show))
        except (Interrupted, asyncio.CancelledError):
            if interruption.signal is None:
                raise
        except (PoolError, OSError) as error:
            trouble = str(error)
    click.echo(_summary(out, monotonic() - began), err=True)
    return _status(out, interruption.signal, trouble)


def _recover(source: BinaryIO, out: Output) -> int | None:
    """Learn what is done; return the number of lines of the input if that had to be known."""
    total = None
    if out.is_begun or is_shown():
        total = count_lines(source)
        source.seek(0)
    if out.is_begun:
        assert total is not None
        out.recover(total)
    return total


@contextmanager
def _progress(out: Output, total: int | None, began: float) -> Iterator[Callable[[], None]]:
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


def _summary(out: Output, seconds: float) -> str:
    earlier = out.earlier
    return (
        f"{earlier.done.count} done before, {earlier.failed} of them failed; "
        f"{out.added} done now, {out.failed} failed; "
        f"{seconds:.2f} s, {out.added / seconds:.1f} per second"
    )


def _status(out: Output, interrupted_by: signal.Signals | None, trouble: str) -> int:
    if interrupted_by is not None:
        text = f"ended by {interrupted_by.name}; the same command goes on from here"
        click.echo(text, err=True)
        return 128 + interrupted_by
    if trouble:
        click.echo(f"Error: {trouble}", err=True)
        return 1
    return 1 if out.earlier.failed + out.failed else 0

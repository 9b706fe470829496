"""`bridgepool map`: call a command for each line of a file, in a run that can be taken up again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import click

from pool import PoolError, WorkerPool
from pool.cli.bar import is_shown
from pool.cli.log import configure_logs
from pool.cli.map.dataset import Dataset
from pool.cli.map.interruption import Interrupted, Interruption
from pool.cli.map.lines import count_lines
from pool.cli.map.output import Output, Unusable
from pool.cli.map.progress import progress, summary
from pool.cli.map.run import Job, conduct
from pool.cli.options import READABLE, SECONDS, log_level, start_up_options, workers
from pool.cli.serving import Address, shown, telemetry
from pool.config import PoolConfig

_MAP_SETTINGS = ("ordered", "max_in_flight", "timeout", "idempotent", "attempts")
_POOL_SETTINGS = ("size", "overflow", "concurrency", "start_method", "options")


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
    help="Items that are under way at most; by default a few for each slot, of quick ones "
    "some thousands. Lower it if some lines are very large.",
)
@click.option("--ordered", is_flag=True, help="In the order of the input, not as they come.")
@telemetry
@log_level
def map_lines(target: str, command: str, inputs: Path, output: Path, **options: Any) -> None:
    """Call COMMAND of the bridge TARGET for each line of a file.

    The output has a line for each item, {"index": n, "result": ...} or
    {"index": n, "error": {"type", "message", "error_type"}}; n is the number
    of its line, from 0. A blank line is no item; one that is no JSON object is
    an error without a call.

    A worker that dies fails the calls it had, which are many where they are
    quick; with --idempotent they are made again.

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
    pool = make_pool(target, options)
    with Interruption() as interruption:
        try:
            with inputs.open("rb", buffering=0) as source, Output(output, source) as out:
                _run(pool, command, source, out, interruption, options)
        except Unusable as error:
            raise click.UsageError(str(error)) from None
        except (PoolError, OSError) as error:
            raise click.ClickException(str(error)) from None
        except (Interrupted, asyncio.CancelledError):
            if interruption.signal is None:
                raise
            name = interruption.signal.name
            click.echo(f"ended by {name}; the same command goes on from here", err=True)
            sys.exit(128 + interruption.signal)
    sys.exit(1 if out.earlier.failed + out.failed else 0)


def make_pool(target: str, options: dict[str, Any]) -> WorkerPool:
    """The pool that these options ask for; their `size` is set if it was not."""
    try:
        options["size"] = options["size"] or PoolConfig(bridge=target).size
        settings: dict[str, Any] = {name: options[name] for name in _POOL_SETTINGS}
        # How long an item waits for a worker is bounded by --timeout.
        return WorkerPool(target, checkout_timeout=None, **settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _run(
    pool: WorkerPool,
    command: str,
    source: BinaryIO,
    out: Output,
    interruption: Interruption,
    options: dict[str, Any],
) -> None:
    """Call for all that is not done, and say how much is done at the end, whichever it is."""
    began = monotonic()
    total = _recover(source, out)
    dataset = Dataset(source, out.earlier.done)
    settings = {name: options[name] for name in _MAP_SETTINGS}
    job = Job(command, dataset, out, options["size"], settings)
    try:
        with progress(out, total, began) as show, interruption.held():
            asyncio.run(_conduct(job, pool, interruption, show, options["telemetry"]))
    finally:
        click.echo(summary(out, monotonic() - began), err=True)


async def _conduct(
    job: Job,
    pool: WorkerPool,
    interruption: Interruption,
    show: Callable[[], None],
    address: Address | None,
) -> None:
    async with shown(pool, address):
        await conduct(job, pool, interruption, show)


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

"""`bridgepool stress`: drive a pool with concurrent operations and report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pool import PoolError, WorkerPool
from pool.cli.load import Load, LoadRun, Measured
from pool.cli.log import configure_logs
from pool.cli.operations import LOCAL_LM, Operation, RunCommand, RunProgram, read_inputs
from pool.cli.report import FORMATS, figures

DSPY_BRIDGE = "bridge.dspy_bridge"
DEFAULT_OPERATIONS = 100

_seconds = click.FloatRange(min=0, min_open=True)
_path = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--bridge", default=DSPY_BRIDGE, show_default=True, help="TARGET to run.")
@click.option("--size", default=8, show_default=True, type=click.IntRange(1))
@click.option("--overflow", default=4, show_default=True, type=click.IntRange(0))
@click.option("--spares", default=0, show_default=True, type=click.IntRange(0))
@click.option("--start-method", default="forkserver", type=click.Choice(["forkserver", "spawn"]))
@click.option("--max-waiting", default=1000, show_default=True, type=click.IntRange(0))
@click.option("--concurrency", default=10, show_default=True, type=click.IntRange(1))
@click.option("--operations", type=click.IntRange(1), help="How many; 100 without --duration.")
@click.option("--duration", type=_seconds, help="Seconds to go on for.")
@click.option("--rate", type=_seconds, help="Operations a second, open loop.")
@click.option("--inputs", type=_path, help="One JSON object of inputs per line.")
@click.option("--signature", default="question -> answer", show_default=True)
@click.option("--lm", default=LOCAL_LM, show_default=True, help="Any model name of dspy's.")
@click.option("--latency", default=0.0, type=click.FloatRange(0), help="Seconds, of local/echo.")
@click.option("--command", help="A command to call in place of a DSPy program.")
@click.option("--timeout", default=60.0, show_default=True, type=_seconds, help="Seconds.")
@click.option("--kill-every", type=_seconds, help="SIGKILL a random worker every so many seconds.")
@click.option("--retries", default=0, show_default=True, type=click.IntRange(0))
@click.option("--seed", default=0, show_default=True, help="Of all random choices.")
@click.option("--format", "format_", default="text", type=click.Choice(list(FORMATS)))
@click.option(
    "--min-success",
    default=0.0,
    type=click.FloatRange(0, 100),
    help="Exit with 1 below this share, 0 to 1, or percentage above 1.",
)
@click.option(
    "--log-level", default="error", type=click.Choice(["debug", "info", "warning", "error"])
)
def stress(**options: Any) -> None:
    """Drive a pool with concurrent operations and report.

    Each operation checks out a worker, creates a DSPy program and executes
    it; with --command, or on a bridge without programs, it calls one command.
    """
    configure_logs(options["log_level"])
    try:
        inputs = read_inputs(options["inputs"])
        pool = _make_pool(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    report = asyncio.run(_stress(pool, _load(options), _operation(options), inputs))
    click.echo(FORMATS[options["format_"]](report))
    least = options["min_success"]
    if report["success_rate"] < (least if least <= 1 else least / 100):
        sys.exit(1)


def _make_pool(options: dict[str, Any]) -> WorkerPool:
    bridge_options = None
    if options["bridge"].partition(":")[0] == DSPY_BRIDGE:
        lm = {"model": options["lm"]}
        if options["lm"] == LOCAL_LM:
            lm |= {"latency": options["latency"], "seed": options["seed"]}
        bridge_options = {"lm": lm}
    return WorkerPool(
        options["bridge"],
        size=options["size"],
        overflow=options["overflow"],
        spares=options["spares"],
        start_method=options["start_method"],
        max_waiting=options["max_waiting"],
        options=bridge_options,
    )


def _load(options: dict[str, Any]) -> Load:
    operations = options["operations"]
    if operations is None and options["duration"] is None:
        operations = DEFAULT_OPERATIONS
    return Load(
        operations=operations,
        duration=options["duration"],
        concurrency=options["concurrency"],
        rate=options["rate"],
        timeout=options["timeout"],
        retries=options["retries"],
        kill_every=options["kill_every"],
        seed=options["seed"],
    )


def _operation(options: dict[str, Any]) -> Operation:
    if options["command"]:
        return RunCommand(options["command"])
    return RunProgram(options["signature"], options["lm"])


async def _stress(
    pool: WorkerPool, load: Load, operation: Operation, inputs: list[dict[str, Any]]
) -> dict[str, Any]:
    try:
        async with pool:
            with _progress(load.operations) as on_progress:
                run = LoadRun(pool, load, operation, inputs, on_progress)
                measured = await run.run()
            return figures(measured, pool.stats())
    except PoolError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[Measured], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("operations", total=total)

        def show(measured: Measured) -> None:
            progress.update(task, completed=measured.operations)

        yield show

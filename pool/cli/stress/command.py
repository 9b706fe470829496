"""`bridgepool stress`: drive a pool with concurrent operations and report."""

from __future__ import annotations

import asyncio
import heapq
import sys
from random import Random
from typing import Any

import click

from pool import PoolError, WorkerPool
from pool.cli.log import configure_logs
from pool.cli.options import READABLE, SECONDS, log_level, workers
from pool.cli.profiles import WRITABLE, profile_file, profiled
from pool.cli.serving import telemetry
from pool.cli.stress.chaos import FAULTS, Plan, poisson, regular
from pool.cli.stress.load import Load
from pool.cli.stress.operations import LOCAL_LM, Operation, RunCommand, RunProgram, read_inputs
from pool.cli.stress.report import FORMATS, figures
from pool.cli.stress.run import conduct
from pool.config import PoolConfig

DSPY_BRIDGE = "bridge.dspy_bridge"
DEFAULT_OPERATIONS = 100

LAST_VICTIM = 5.0
"""Seconds, beside `--late-reply-timeout`, that a worker that was struck last has to end."""


def _kinds(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    """Kinds of faults that were given with commas between them."""
    asked = {kind.strip() for kind in value.split(",") if kind.strip()}
    unknown = sorted(asked - {*FAULTS})
    if unknown:
        text = f"{', '.join(unknown)}: the kinds are {', '.join(FAULTS)}"
        raise click.BadParameter(text, ctx, param)
    # In one order, so that the order they were given in makes no difference.
    return [kind for kind in FAULTS if kind in asked]


@click.command()
@click.option("--bridge", default=DSPY_BRIDGE, show_default=True, help="TARGET to run.")
@workers(size=8, overflow=4)
@click.option("--spares", default=0, show_default=True, type=click.IntRange(0))
@click.option("--max-waiting", default=1000, show_default=True, type=click.IntRange(0))
@click.option(
    "--late-reply-timeout",
    default=PoolConfig.late_reply_timeout,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds from a call that timed out until its worker is killed.",
)
@click.option(
    "--ping-interval",
    default=PoolConfig.ping_interval,
    show_default=True,
    type=SECONDS,
    help="Seconds between pings of idle workers.",
)
@click.option(
    "--concurrency",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="Operations at a time, closed loop.",
)
@click.option("--rate", type=SECONDS, help="Operations a second, open loop, in its place.")
@click.option("--operations", type=click.IntRange(1), help="How many; 100 without --duration.")
@click.option("--duration", type=SECONDS, help="Seconds to go on for.")
@click.option("--inputs", type=READABLE, help="One JSON object of inputs per line.")
@click.option("--signature", default="question -> answer", show_default=True)
@click.option("--lm", default=LOCAL_LM, show_default=True, help="Any model name of dspy's.")
@click.option("--latency", default=0.0, type=click.FloatRange(0), help="Seconds, of local/echo.")
@click.option("--command", help="A command to call in place of a DSPy program.")
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=SECONDS,
    help="Seconds for an operation, waiting and retries included.",
)
@click.option(
    "--retries",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of an operation that lost its worker.",
)
@click.option(
    "--chaos",
    default="",
    metavar="KINDS",
    callback=_kinds,
    help=f"Faults that befall random workers: any of {','.join(FAULTS)}.",
)
@click.option(
    "--chaos-every",
    default=1.0,
    show_default=True,
    type=SECONDS,
    help="Mean seconds between them; the instants are random (Poisson).",
)
@click.option("--kill-every", type=SECONDS, help="SIGKILL a random worker every so many seconds.")
@click.option("--seed", default=0, show_default=True, help="Of all random choices.")
@click.option("--format", "format_", default="text", type=click.Choice(list(FORMATS)))
@click.option(
    "--min-success",
    default=0.0,
    type=click.FloatRange(0, 100),
    help="Exit with 1 below this share, 0 to 1, or percentage above 1.",
)
@telemetry
@click.option(
    "--profile",
    type=WRITABLE,
    callback=profile_file,
    help="Profile the run into this file: .html, .json, .csv or .txt.",
)
@click.option(
    "--live/--no-live",
    default=True,
    show_default=True,
    help="On a terminal, show the pool (as `bridgepool top` does), or only a bar.",
)
@log_level
def stress(**options: Any) -> None:
    """Drive a pool with concurrent operations and report.

    Each operation checks out a worker, creates a DSPy program and executes
    it; with --command it is one `pool.call`. A bridge without programs is
    sent an echo instead.

    With --chaos, workers are killed, stopped, terminated, find a senseless
    frame among their replies, or are slow: stopped for 50 to 500 ms.

    The counts of the load generator are compared with the pool's: exits with
    1 if an operation, a checkout, a call, a worker or a descriptor is
    unaccounted for, and the report says which.

    SIGINT or SIGTERM ends the load: what is under way is waited for, and the
    report and the profile are of what there was; exits with 130 or 143. A
    second one ends it at once, without them.
    """
    configure_logs(options["log_level"])
    if options["operations"] is None and options["duration"] is None:
        options["operations"] = DEFAULT_OPERATIONS
    try:
        inputs = read_inputs(options["inputs"])
        pool = _make_pool(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    patience = options["late_reply_timeout"] + LAST_VICTIM
    load, operation, plan = _load(options), _operation(options), _plan(options)
    told = options["telemetry"]
    run = conduct(pool, load, operation, inputs, plan, patience, told, view=options["live"])
    if options["profile"] is not None:
        run = profiled(pool, run, options["profile"])
    try:
        ran = asyncio.run(run)
    except PoolError as error:
        raise click.ClickException(str(error)) from None
    report = figures(ran)
    click.echo(FORMATS[options["format_"]](report))
    if ran.ended_by is not None:
        sys.exit(128 + ran.ended_by)
    least = options["min_success"]
    enough = report["success_rate"] >= (least if least <= 1 else least / 100)
    sys.exit(0 if enough and report["conserved"] else 1)


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
        late_reply_timeout=options["late_reply_timeout"],
        ping_interval=options["ping_interval"],
        options=bridge_options,
    )


def _load(options: dict[str, Any]) -> Load:
    return Load(
        operations=options["operations"],
        duration=options["duration"],
        concurrency=options["concurrency"],
        rate=options["rate"],
        timeout=options["timeout"],
        retries=options["retries"],
        seed=options["seed"],
    )


def _plan(options: dict[str, Any]) -> Plan:
    """The same seed gives the same faults at the same instants; victims are whoever serves."""
    plans = []
    if options["kill_every"] is not None:
        plans.append(regular("kill", options["kill_every"]))
    if options["chaos"]:
        seeded = Random(options["seed"])
        plans.append(poisson(options["chaos"], options["chaos_every"], seeded))
    return heapq.merge(*plans)


def _operation(options: dict[str, Any]) -> Operation:
    if options["command"]:
        return RunCommand(options["command"])
    return RunProgram(options["signature"], options["lm"])

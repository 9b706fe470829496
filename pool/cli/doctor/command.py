"""`bridgepool doctor`: can this environment run a bridge, how, and at what cost?"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import click
from msgspec import to_builtins
from rich.console import Console

from bridge.messages.template import Explanation, Loaded
from pool.cli.doctor.measure import measure
from pool.cli.doctor.steps import ColdStart
from pool.cli.doctor.waterfall import waterfall
from pool.cli.options import SECONDS, start_up_options
from pool.config import PoolConfig, PoolOptions
from pool.errors import PoolError
from pool.launch.command import interpreter, secrets_of, worker_environment
from pool.launch.loading import Examination, examine


@click.command()
@click.argument("target")
@start_up_options
@click.option("--python", help="The interpreter; this one if not given.")
@click.option("--requires", multiple=True, metavar="DISTRIBUTION", help="It must be installed.")
@click.option("--requires-env", multiple=True, metavar="VARIABLE", help="It must be set.")
@click.option("--cpu-threads", type=click.IntRange(1), help="As the pool's setting of that name.")
@click.option("--timeout", default=120.0, show_default=True, type=SECONDS)
@click.option("--timings", is_flag=True, help="Make a cold start, and show what each step took.")
@click.option("--format", "format_", default="text", type=click.Choice(["text", "json"]))
def doctor(
    target: str,
    options: dict[str, Any] | None,
    python: str | None,
    requires: tuple[str, ...],
    requires_env: tuple[str, ...],
    cpu_threads: int | None,
    timeout: float,
    timings: bool,
    format_: str,
) -> None:
    """Validate the environment of TARGET as a pool would, and explain.

    TARGET is package.module or package.module:name. Exits with 1 if a pool
    could not run it. That workers could not be forked, only spawned, is no
    failure.
    """
    settings: PoolOptions = {
        "options": options,
        "python": python,
        "requires": requires,
        "requires_env": requires_env,
        "cpu_threads": cpu_threads,
        "start_timeout": timeout,
    }
    try:
        config = PoolConfig(bridge=target, **settings)  # type: ignore[arg-type]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    # Before the diagnosis, after which the files are in the kernel's cache.
    start = asyncio.run(_cold_start(target, settings)) if timings else None
    secrets = secrets_of(config)
    findings = diagnose(config, asyncio.run(examine(config, secrets)))
    if timings:
        findings = with_cold_start(findings, start)
    _show(secrets.hide_in(findings), start, format_)
    sys.exit(0 if findings["ok"] else 1)


def _show(findings: dict[str, Any], start: ColdStart | PoolError | None, format_: str) -> None:
    if format_ == "json":
        click.echo(json.dumps(findings))
        return
    click.echo(as_text(findings))
    if isinstance(start, ColdStart):
        Console().print("", waterfall(start))


async def _cold_start(target: str, settings: PoolOptions) -> ColdStart | PoolError:
    try:
        return await measure(target, settings)
    except PoolError as error:
        return error


def with_cold_start(
    findings: dict[str, Any], start: ColdStart | PoolError | None
) -> dict[str, Any]:
    """The findings, and how a cold start went; if it failed for all that, that is a problem."""
    if isinstance(start, ColdStart):
        return {**findings, "cold_start": to_builtins(start)}
    findings = {**findings, "cold_start": None}
    if not findings["ok"]:
        return findings  # they say why
    # Of a crash loop of one start, its cause.
    cause = start if start is None or start.__cause__ is None else start.__cause__
    return {**findings, "ok": False, "problems": [str(cause)], "stderr": ""}


def diagnose(config: PoolConfig, examination: Examination) -> dict[str, Any]:
    """All that was found out. Times in seconds, memory (PSS) in bytes."""
    answer = examination.answer
    environment = worker_environment(config)
    findings: dict[str, Any] = {
        "ok": isinstance(answer, Loaded),
        "target": config.bridge,
        "interpreter": interpreter(config),
        "variables": {name: bool(environment.get(name)) for name in config.requires_env},
    }
    if not isinstance(answer, Loaded):
        return {**findings, "problems": answer.problems, "stderr": examination.stderr}
    findings["start_method"] = "spawn" if answer.hazards else "forkserver"
    findings["hazards"] = answer.hazards
    assert answer.explanation is not None
    return {**findings, **_explained(answer.explanation)}


def _explained(explanation: Explanation) -> dict[str, Any]:
    return {
        "python": explanation.python,
        "versions": explanation.versions,
        "import_s": explanation.import_time,
        "preload_s": explanation.preload_time,
        "memory_before": explanation.memory_before,
        "memory_after": explanation.memory_after,
        "costliest": [
            {"module": cost.module, "own_s": cost.own, "total_s": cost.total}
            for cost in explanation.costliest
        ],
    }


def as_text(findings: dict[str, Any]) -> str:
    """The findings for people."""
    lines = [
        ("target", findings["target"]),
        ("interpreter", _interpreter(findings)),
        *(("variable", _variable(*item)) for item in findings["variables"].items()),
        *(_found_unfit(findings) if not findings["ok"] else _found_fit(findings)),
    ]
    return "\n".join(f"{name:<12} {value}".rstrip() for name, value in lines)


def _interpreter(findings: dict[str, Any]) -> str:
    version = findings.get("python")
    return f"{findings['interpreter']}" + (f" (Python {version})" if version else "")


def _variable(name: str, is_set: bool) -> str:
    return f"{name} is set" if is_set else f"{name} is not set"


def _found_unfit(findings: dict[str, Any]) -> list[tuple[str, str]]:
    said = [("stderr", line) for line in findings["stderr"].splitlines()]
    problems = [("problem", problem) for problem in findings["problems"]]
    return [*said, *problems, ("verdict", "a pool cannot run this bridge here")]


def _found_fit(findings: dict[str, Any]) -> list[tuple[str, str]]:
    versions = [f"{name} {version}" for name, version in findings["versions"].items()]
    before, after = findings["memory_before"] / 1e6, findings["memory_after"] / 1e6
    how = "each worker is a fresh interpreter" if findings["hazards"] else "workers are forked"
    return [
        ("versions", ", ".join(versions)),
        ("import", f"{findings['import_s']:.2f} s, and {findings['preload_s']:.2f} s of preload"),
        ("memory", f"{after:.0f} MB, of which {before:.0f} MB before the import"),
        ("costliest", f"{'own ms':>8} {'total ms':>9}  module"),
        *(("", _cost(cost)) for cost in findings["costliest"]),
        *(("not forked", hazard) for hazard in findings["hazards"]),
        ("verdict", f"a pool can run this bridge here: {how}"),
    ]


def _cost(cost: dict[str, Any]) -> str:
    return f"{cost['own_s'] * 1000:8.1f} {cost['total_s'] * 1000:9.1f}  {cost['module']}"

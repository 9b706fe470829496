"""What a start takes, step by step, as events and for people."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pool import WorkerPool
from pool.telemetry.events import EVENTS, EnvironmentValidated, Event, TemplateLoaded, WorkerStarted
from tests.contract.pools import LAUNCHERS, make_pool
from tests.contract.slow_steps import IMPORT, ON_START, PRELOAD

BRIDGE = "tests.contract.slow_steps"


async def start(pool: WorkerPool) -> list[Event]:
    """Start one worker, and return what the pool told of that."""
    heard: list[Event] = []

    def hear(events: Sequence[Event]) -> None:
        heard.extend(events)

    pool.listen(hear, EVENTS)
    async with pool:
        await pool.wait_ready(1)
    return heard


def of(heard: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in heard if type(event) is kind]


async def test_a_forked_worker_starts_from_a_template_that_has_done_the_most() -> None:
    heard = await start(make_pool("forkserver", BRIDGE, size=1))
    (template,), (worker,) = of(heard, TemplateLoaded), of(heard, WorkerStarted)
    assert template.generation == worker.generation == 1
    assert template.template.endswith("-template-1")
    assert template.pid != worker.pid
    assert template.imports >= IMPORT
    assert template.preload >= PRELOAD
    assert template.freeze > 0
    parts = template.imports + template.preload + template.freeze
    assert parts < template.seconds <= of(heard, EnvironmentValidated)[0].seconds
    assert worker.imports < IMPORT
    assert worker.start_up >= ON_START
    assert worker.launch + worker.start_up <= worker.ready


@pytest.mark.parametrize("launcher", ["spawn", "argv"])
async def test_a_spawned_worker_does_all_itself(launcher: str) -> None:
    heard = await start(make_pool(launcher, BRIDGE, size=1))
    (worker,) = of(heard, WorkerStarted)
    assert not of(heard, TemplateLoaded)
    assert worker.imports >= IMPORT
    assert worker.start_up >= PRELOAD + ON_START
    assert worker.launch + worker.imports + worker.start_up < worker.ready


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_many_calls_at_a_time_change_nothing(launcher: str) -> None:
    heard = await start(make_pool(launcher, BRIDGE, size=1, concurrency=8))
    assert of(heard, WorkerStarted)[0].start_up >= ON_START


async def test_a_foreign_bridge_tells_nothing() -> None:
    script = str(Path(__file__).parent / "foreign_plain.py")
    heard = await start(WorkerPool(argv=[sys.executable, script], size=1, grace_period=0.2))
    (worker,) = of(heard, WorkerStarted)
    assert (worker.imports, worker.start_up) == (0.0, 0.0)
    assert 0 < worker.launch <= worker.ready


async def test_each_template_is_told() -> None:
    pool = make_pool("forkserver", BRIDGE, size=1)
    heard: list[Event] = []
    pool.listen(heard.extend, [TemplateLoaded])
    async with pool:
        await pool.wait_ready()
        await pool.reload()
    assert [event.generation for event in of(heard, TemplateLoaded)] == [1, 2]


# For people


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pool", "doctor", "--timings", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def steps(*arguments: str) -> tuple[dict[str, dict[str, float]], float]:
    done = doctor(BRIDGE, "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    cold_start = json.loads(done.stdout)["cold_start"]
    return {step["step"]: step for step in cold_start["steps"]}, cold_start["total_s"]


def test_the_doctor_shows_each_step_of_a_cold_start() -> None:
    found, total = steps()
    assert list(found) == [
        "template: interpreter",
        "template: import",
        "template: preload",
        "template: freeze",
        "worker: fork",
        "worker: handshake",
        "worker: start-up",
        "first checkout",
        "first reply",
    ]
    assert found["template: import"]["seconds"] >= IMPORT
    assert found["template: preload"]["seconds"] >= PRELOAD
    assert found["worker: start-up"]["seconds"] >= ON_START
    begins = [step["begin_s"] for step in found.values()]
    assert begins == sorted(begins)
    assert begins[0] >= 0
    assert sum(step["seconds"] for step in found.values()) <= total + 1e-6
    assert found["first reply"]["begin_s"] + found["first reply"]["seconds"] <= total + 1e-6


def test_workers_that_cannot_be_forked_have_other_steps() -> None:
    done = doctor("tests.contract.threaded_import", "--format", "json")
    found = json.loads(done.stdout)
    assert found["start_method"] == "spawn"
    names = [step["step"] for step in found["cold_start"]["steps"]]
    assert names[0] == "template: interpreter"
    assert names[4:] == [
        "worker: launch",
        "worker: interpreter",
        "worker: import",
        "worker: start-up",
        "first checkout",
        "first reply",
    ]


def test_people_get_a_waterfall() -> None:
    done = doctor(BRIDGE)
    assert done.returncode == 0
    shown = done.stdout.splitlines()
    (line,) = (line for line in shown if "template: import" in line)
    assert "█" in line
    assert any(line.split()[:3] == ["cold", "start", "ms"] for line in shown)
    assert float(line.split()[2]) >= IMPORT * 1000
    assert all(len(line) <= 80 for line in shown if "█" in line)
    assert "verdict      a pool can run this bridge here: workers are forked" in shown


def test_a_start_up_that_fails_is_a_verdict() -> None:
    done = doctor("tests.contract.bridges:failing")
    assert done.returncode == 1
    assert "the weights are missing" in done.stdout
    assert "crash loop" not in done.stdout
    assert "a pool cannot run this bridge here" in done.stdout


def test_an_environment_that_is_unfit_is_told_once() -> None:
    done = doctor("no.such.module", "--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["cold_start"] is None
    assert len(found["problems"]) == 1

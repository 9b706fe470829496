"""`bridgepool doctor`, as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

VARIABLE = "BRIDGEPOOL_TEST_VALUE"


def doctor(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pool", "doctor", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False
    )


def findings(*arguments: str) -> dict[str, Any]:
    done = doctor(*arguments, "--format", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    return found


def test_a_fit_environment_is_explained() -> None:
    found = findings("bridge.dspy_bridge", "--requires", "dspy", "--requires-env", "PATH")
    assert (found["ok"], found["start_method"], found["hazards"]) == (True, "forkserver", [])
    assert (found["interpreter"], found["variables"]) == (sys.executable, {"PATH": True})
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"dspy", "bridgepool", "msgspec", "pydantic"} <= found["versions"].keys()
    assert found["memory_after"] > found["memory_before"] > 0
    costs = found["costliest"]
    assert len(costs) == 10
    assert [c["own_s"] for c in costs] == sorted((c["own_s"] for c in costs), reverse=True)
    assert all(0 <= c["own_s"] <= c["total_s"] for c in costs)
    assert 0 < sum(c["own_s"] for c in costs) <= found["import_s"]


def test_what_keeps_workers_from_being_forked_is_no_failure_but_named() -> None:
    found = findings("tests.contract.threaded_import")
    assert (found["ok"], found["start_method"]) == (True, "spawn")
    assert "price-list" in found["hazards"][0]


def test_threads_that_would_keep_workers_from_being_forked_can_be_forbidden() -> None:
    bridge, inherited = "tests.contract.numeric_bridge", {"OPENBLAS_NUM_THREADS": "2"}
    done = doctor(bridge, "--cpu-threads", "1", env=inherited)
    assert "verdict      a pool can run this bridge here: workers are forked" in done.stdout


def test_every_problem_is_listed() -> None:
    found = findings("no.such.module", "--requires", "no-such", "--requires-env", VARIABLE)
    assert not found["ok"]
    assert [w for w in ("no.such", "no-such", VARIABLE) if w in str(found["problems"])] == [
        "no.such",
        "no-such",
        VARIABLE,
    ]
    assert found["variables"] == {VARIABLE: False}


def test_people_are_told_why_an_import_failed() -> None:
    done = doctor("tests.contract.broken_import")
    assert done.returncode == 1
    assert "answer = 1 / 0" in done.stdout
    assert "problem      importing 'tests.contract.broken_import' raised Zero" in done.stdout


def test_people_are_told_what_there_is() -> None:
    done = doctor("bridge.echo", "--requires-env", VARIABLE, env={VARIABLE: "do-not-tell"})
    assert done.returncode == 0
    assert f"variable     {VARIABLE} is set" in done.stdout
    assert "verdict      a pool can run this bridge here: workers are forked" in done.stdout
    assert "do-not-tell" not in done.stdout + done.stderr


@pytest.mark.parametrize("options", ["{", "[1]", '{"a": '])
def test_options_that_are_no_object_are_a_usage_error(options: str) -> None:
    done = doctor("bridge.echo", "--options", options)
    assert done.returncode == 2
    assert "options" in done.stderr


def test_an_interpreter_that_is_not_there_is_a_problem() -> None:
    found = findings("bridge.echo", "--python", "/no/such/python")
    assert "/no/such/python" in found["problems"][0]


def test_options_reach_the_preload() -> None:
    options = json.dumps({"lm": {"model": "local/echo", "temperature": "hot"}})
    found = findings("bridge.dspy_bridge", "--options", options)
    assert "temperature" in found["problems"][0]

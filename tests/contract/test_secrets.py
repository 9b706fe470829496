"""What is secret is in no log record and no error, whatever a child does with it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge.messages.secrets import HIDDEN
from pool import (
    Breaker,
    BrokenWorkerError,
    CircuitOpen,
    EnvironmentInvalid,
    PoolError,
    PoolTimeout,
    ProtocolError,
    RemoteError,
    RequestError,
    ResultTypeError,
    WorkerPool,
    WorkerStartError,
)
from tests.contract.leaky_bridges import SPLIT
from tests.contract.pools import until
from tests.contract.raw_client import RawClient

HERE = Path(__file__).parent
BRIDGES = "tests.contract.leaky_bridges"

PLANTED = {
    "PLANTED_API_KEY": "sk-planted-in-the-environment",
    "PLANTED_TOKEN": "quote'd\"and\\escaped-in-the-environment",
    "PLANTED_PRIVATE_KEY": "-----BEGIN-----\nfirst-line-planted\nsecond-line-planted\n",
}
ADDED = {"ADDED_PASSWORD": "password-added-by-env"}
OPTIONS = {"lm": {"api_key": "sk-planted-in-the-options", "model": "m"}, "token": ["in-the-list"]}
CALLED = "sk-planted-in-a-call"

TRACES = (
    "sk-planted",
    "quote'd",
    "escaped-in-the",
    "first-line",
    "second-line",
    "added-by-env",
    "in-the-list",
)
"""Parts of all of them, which may not be seen either."""


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """All that was logged is looked through at the end."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert_clean([f"{record.getMessage()} {record.__dict__}" for record in records])


def assert_clean(texts: list[str]) -> None:
    for text in texts:
        for trace in TRACES:
            where = text.find(trace)
            assert where < 0, f"{trace} was seen: {text[max(0, where - 200) : where + 50]}"


def all_of(error: BaseException) -> list[str]:
    """Everything that can be read from an error, its causes and contexts included."""
    texts: list[str] = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        texts += [str(seen), repr(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return texts


def leaky(name: str, **options: Any) -> WorkerPool:
    settings = {"size": 1, "env": ADDED, "options": OPTIONS, "grace_period": 2.0, **options}
    return WorkerPool(f"{BRIDGES}:{name}", **settings)


def foreign(how: str, **options: Any) -> WorkerPool:
    argv = [sys.executable, str(HERE / "foreign_leaky.py"), how]
    settings = {"size": 1, "env": ADDED, "options": OPTIONS, "grace_period": 0.2, **options}
    return WorkerPool(argv=argv, **settings)


either_way = pytest.mark.parametrize("start_method", ["forkserver", "spawn"])


# Start-up


@either_way
async def test_a_start_that_fails_tells_no_secrets(start_method: str) -> None:
    async with leaky("at_start", start_method=start_method, max_restarts=0) as pool:
        with pytest.raises(WorkerStartError, match="Leak") as caught:
            await pool.call("anything")
        with pytest.raises(WorkerStartError, match="crash loop") as again:
            await pool.call("anything")
    assert_clean([*all_of(caught.value), *all_of(again.value)])
    assert "PLANTED_API_KEY" in caught.value.stderr_tail
    assert HIDDEN in caught.value.stderr_tail


async def test_who_waits_in_vain_is_told_no_secrets() -> None:
    async with leaky("at_start", start_method="spawn", max_restarts=99) as pool:
        with pytest.raises(PoolTimeout, match="Leak") as caught:
            await pool.call("anything", timeout=6)
    assert_clean(all_of(caught.value))


async def test_a_preload_that_fails_tells_no_secrets() -> None:
    async with leaky("at_preload") as pool:
        with pytest.raises(EnvironmentInvalid, match="preload") as caught:
            await pool.call("anything")
    assert_clean([*all_of(caught.value), *caught.value.problems])


@pytest.mark.parametrize(
    ("start_method", "how"), [("spawn", "check"), ("spawn", "report"), ("forkserver", "check")]
)
async def test_an_interpreter_that_is_none_tells_no_secrets(
    tmp_path: Path, start_method: str, how: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE / 'foreign_leaky.py'} {how}\n")
    python.chmod(0o700)
    async with leaky("in_calls", start_method=start_method, python=str(python)) as pool:
        with pytest.raises(EnvironmentInvalid, match="PLANTED_API_KEY") as caught:
            await pool.call("anything")
    assert_clean([*all_of(caught.value), *caught.value.problems])


async def test_hazards_tell_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    async with leaky("in_hazards") as pool:
        await pool.wait_ready()
        assert pool.stats().start_method == "spawn"
    assert f"thread {HIDDEN}" in caplog.text


async def test_a_foreign_handshake_that_fails_tells_no_secrets() -> None:
    async with foreign("start", max_restarts=0) as pool:
        with pytest.raises(WorkerStartError, match="PLANTED_API_KEY") as caught:
            await pool.call("anything")
    assert_clean(all_of(caught.value))


# Calls

ARGS = {"said": f"the call said {CALLED}", "api_key": CALLED}


@either_way
async def test_a_command_that_raises_tells_no_secrets(start_method: str) -> None:
    async with leaky("in_calls", start_method=start_method) as pool:
        with pytest.raises(RemoteError, match="the call said") as caught:
            await pool.call("raise_it", ARGS)
    assert_clean(all_of(caught.value))
    assert caught.value.details["said"] == [f"the call said {HIDDEN}"]
    assert "Traceback" in str(caught.value.traceback)


@either_way
async def test_a_crash_tells_no_secrets(start_method: str) -> None:
    async with leaky("in_calls", start_method=start_method) as pool:
        with pytest.raises(BrokenWorkerError, match="the call said") as caught:
            await pool.call("crash_with", ARGS)
    assert_clean(all_of(caught.value))


@pytest.mark.parametrize("command", ["garbage", "half", "unasked"])
@pytest.mark.parametrize("before", [0, 190])
async def test_bytes_that_are_quoted_tell_no_secrets(command: str, before: int) -> None:
    said = "." * before + CALLED
    async with foreign("call") as pool:
        with pytest.raises((ProtocolError, BrokenWorkerError), match=r"b'\.*") as caught:
            await pool.call(command, {**ARGS, "said": said})
    assert_clean(all_of(caught.value))


async def test_a_foreign_failure_tells_no_secrets_in_any_member() -> None:
    async with foreign("call") as pool:
        with pytest.raises(RemoteError, match="PLANTED_API_KEY") as caught:
            await pool.call("fail", ARGS)
        assert_clean(all_of(caught.value))
        with pytest.raises(PoolError) as caught_odd:
            await pool.call("fail oddly", ARGS, timeout=0.2)
        assert_clean(all_of(caught_odd.value))


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("kind", [int, Colour, Literal["red"]])
async def test_a_result_is_data_and_the_error_about_it_is_not(kind: Any) -> None:
    async with foreign("call") as pool:
        args = {"said": CALLED, "api_key": CALLED}
        assert await pool.call("result", args) == CALLED
        with pytest.raises(ResultTypeError) as caught:
            await pool.call("result", args, result_type=kind)
    assert caught.value.result == CALLED
    assert_clean([str(caught.value)])


class Quoting:
    def model_dump(self, mode: str) -> object:
        raise ValueError(CALLED)


async def test_arguments_that_cannot_be_encoded_are_not_quoted() -> None:
    async with leaky("in_calls") as pool:
        for args in (
            {"api_key": CALLED, "x": object()},
            {"api_key": CALLED + "\ud800"},
            {"x": Quoting()},
            [CALLED],
            {"session_id": [CALLED]},
            {"session_id": CALLED},
        ):
            with pytest.raises(RequestError) as caught:
                await pool.call("print_it", args, session="s")
            assert caught.value.__cause__ is None
            assert_clean(["".join(traceback.format_exception(caught.value))])


@pytest.mark.parametrize(
    ("command", "last"),
    [("fail as", f"RemoteError (the call said {HIDDEN})"), ("garbage", "ProtocolError")],
)
async def test_a_circuit_that_opens_tells_no_secrets(
    command: str, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with foreign("call", breaker=Breaker(failures=1)) as pool:
        with pytest.raises((RemoteError, ProtocolError)):
            await pool.call(command, ARGS)
        with pytest.raises(CircuitOpen) as caught:
            await pool.call(command, ARGS)
    assert_clean(all_of(caught.value))
    assert f"the last with {last}; its circuit is open" in str(caught.value)
    assert f"keep failing, the last with {last}; they are refused" in caplog.text


async def test_a_call_that_is_made_again_tells_no_secrets() -> None:
    async with leaky("in_calls") as pool:
        with pytest.raises(BrokenWorkerError) as caught:
            await pool.call("crash_with", ARGS, idempotent=True, attempts=2)
    assert any("has cost 2 workers" in text for text in all_of(caught.value))
    assert_clean(all_of(caught.value))


async def test_a_limit_that_is_met_tells_no_secrets() -> None:
    async with leaky("at_start", max_open_files=32, niceness=1, max_restarts=0) as pool:
        with pytest.raises(WorkerStartError) as caught:
            await pool.call("anything")
    assert_clean(all_of(caught.value))


# Logs


async def test_a_lease_held_too_long_is_reported_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = leaky("in_calls", leak_threshold=0.01)
    async with pool, pool.checkout() as worker:  # taken with api_key="sk-planted-here"
        await worker.call("print_it", ARGS)
        await until(pool, lambda stats: stats.leaks == 1)
    assert "has been lent for" in caplog.text
    assert "test_a_lease_held_too_long" in caplog.text


@either_way
async def test_lines_of_stderr_are_logged_without_secrets(
    start_method: str, caplog: pytest.LogCaptureFixture
) -> None:
    half = len(CALLED) // 2
    said = f"<{CALLED[:half]}{SPLIT}{CALLED[half:]}> {'x' * 20_000}{CALLED}{'y' * 20_000} <end>"
    async with leaky("in_calls", start_method=start_method) as pool:
        reply = await pool.call("print_it", {**ARGS, "said": said})
        assert reply == {"said": said}, "a result is data"
    lines = [r.getMessage() for r in caplog.records if r.name == "bridgepool.stderr"]
    assert any(f"<{HIDDEN}> xxx" in line for line in lines)
    assert sum("<end>" in line for line in lines) == 2
    assert any("starts with" in line for line in lines)


async def test_a_pool_and_its_settings_show_none_of_it() -> None:
    pool = WorkerPool(argv=["bridge", f"--key={CALLED}"], env=ADDED, options=OPTIONS)
    assert_clean([repr(pool), repr(pool._config), str(vars(pool))])


@either_way
async def test_values_that_are_set_later_are_known_after_a_reload(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leaky("in_calls", start_method=start_method) as pool:
        await pool.call("print_it", ARGS)
        monkeypatch.setenv("LATER_KEY", "sk-planted-later")
        await pool.reload()
        with pytest.raises(BrokenWorkerError, match="LATER_KEY") as caught:
            await pool.call("crash_with", ARGS)
        await until(pool, lambda stats: stats.idle == 1)
    assert_clean(all_of(caught.value))


# The command line


@pytest.mark.parametrize(("name", "format_"), [("at_preload", "text"), ("in_hazards", "json")])
def test_the_doctor_tells_no_secrets(name: str, format_: str) -> None:
    options = ["--options", json.dumps(OPTIONS), "--format", format_]
    command = [sys.executable, "-m", "pool", "doctor", f"{BRIDGES}:{name}", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert_clean([done.stdout, done.stderr])
    assert HIDDEN in done.stdout


def test_the_stress_command_tells_no_secrets() -> None:
    arguments = ["--bridge", f"{BRIDGES}:at_start", "--operations", "1", "--timeout", "1"]
    command = [sys.executable, "-m", "pool", "stress", *arguments, "--log-level", "debug"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert_clean([done.stdout, done.stderr])
    assert HIDDEN in done.stderr


@pytest.mark.parametrize("format_", ["text", "json", "csv"])
def test_a_report_of_failures_tells_no_secrets(tmp_path: Path, format_: str) -> None:
    inputs = tmp_path / "in.jsonl"
    inputs.write_text(json.dumps(ARGS))
    options = {"--bridge": f"{BRIDGES}:in_calls", "--command": "raise_as", "--inputs": str(inputs)}
    more = {"--operations": "20", "--chaos": "kill", "--chaos-every": "0.05", "--format": format_}
    arguments = [word for pair in {**options, **more}.items() for word in pair]
    command = [sys.executable, "-m", "pool", "stress", *arguments, "--log-level", "debug"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert_clean([done.stdout, done.stderr])
    assert f"RemoteError:Error the call said {HIDDEN}" in done.stdout


# The bridge's own side: whoever drives it need not be a pool of ours


def test_a_bridge_that_is_driven_by_others_tells_no_secrets() -> None:
    with RawClient(f"{BRIDGES}:in_calls", env=ADDED) as client:
        client.send("ping", {"initialization": True, "options": OPTIONS})
        assert client.read()["success"]
        said = f"{CALLED} in-the-list"
        client.send("raise_it", {"said": said, "api_key": CALLED})
        reply = client.read()
    assert reply["error"].startswith(f"{HIDDEN} {HIDDEN} {{")
    assert_clean([json.dumps(reply)])


def test_options_are_known_when_the_start_up_fails() -> None:
    with RawClient(f"{BRIDGES}:at_start", env=ADDED) as client:
        client.send("ping", {"initialization": True, "options": OPTIONS})
        assert_clean([json.dumps(client.read())])

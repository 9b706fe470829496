"""The benchmarks' contenders of ours and the limits work, and a sample ends whatever it does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_kills, running
from benchmarks.limits.epoll import Epoll
from benchmarks.pools import MAKERS, make
from benchmarks.running import Sample, run_marked
from benchmarks.taking import describe
from tests.processes import ends_within

OBJECT = {"text": "hello", "number": 1}
LONG = {"text": "x" * 300_000}
# The same classes again, on another loop.
HERE = [
    name
    for name in MAKERS
    if name.startswith(("bridgepool", "limit"))
    and not name.endswith(("uvloop", "500 on each", "memory", "base64"))
    and name != "limit: add_reader, our bridge"  # for one call at a time
]


@pytest.mark.parametrize("name", HERE)
async def test_a_contender_echoes_one_call_and_many(name: str) -> None:
    contender = make(name)
    await contender.start(2, "echo")
    try:
        alone = [await contender.alone(value) for value in (OBJECT, LONG, OBJECT)]
        many = await asyncio.gather(*(contender.call({"n": n}) for n in range(10)))
    finally:
        await contender.close()
    assert alone == [OBJECT, LONG, OBJECT]
    assert many == [{"n": n} for n in range(10)]


@pytest.mark.parametrize("name", ["bridgepool, checkout", "limit: add_reader, pipe"])
async def test_a_nap_says_who_took_it_and_since_when(name: str) -> None:
    contender, before = make(name), time.monotonic()
    await contender.start(2, "nap")
    try:
        naps = await asyncio.gather(*(contender.call(0.05) for _ in range(2)))
    finally:
        await contender.close()
    assert len({pid for pid, _ in naps}) == 2
    assert all(before < began < time.monotonic() - 0.05 for _, began in naps)


@pytest.mark.parametrize("name", ["bridgepool, memory", "bridgepool, base64"])
async def test_bytes_come_back_as_bytes(name: str) -> None:
    contender = make(name)
    await contender.start(1, "blob")
    try:
        assert await contender.alone(b"\xff" * 200_000) == b"\xff" * 200_000
    finally:
        await contender.close()


async def test_calls_that_wait_overlap() -> None:
    contender = make("bridgepool, 2 workers, 500 on each")
    await contender.start(8, "nap")
    try:
        naps = await asyncio.gather(*(contender.call(0.01) for _ in range(100)))
    finally:
        await contender.close()
    assert naps == [{"slept": 0.01}] * 100


async def test_a_map_calls_for_every_item() -> None:
    contender: Any = make("bridgepool, map")
    await contender.start(1, "echo")
    try:
        assert await contender.map({"n": n} for n in range(2000)) == 2000
    finally:
        await contender.close()


async def test_a_stream_is_read_to_its_end() -> None:
    contender: Any = make("bridgepool, stream")
    await contender.start(1, "echo")
    try:
        await contender.first()
        await contender.read(1000)
    finally:
        await contender.close()


async def test_frames_of_bytes_come_back_unseen() -> None:
    contender = make("limit: blocking socketpair")
    await contender.start(1, "bytes")
    try:
        assert await contender.alone(b"\xff" * 200_000) == b"\xff" * 200_000
    finally:
        await contender.close()


async def test_the_epoll_loop_answers_all_that_it_has_asked() -> None:
    loop = Epoll()
    await loop.start(2, "echo")
    try:
        done = loop.storm(OBJECT, 0.05)
        assert done > 2
        assert await loop.alone(OBJECT) == OBJECT
    finally:
        await loop.close()


class Gone:
    """A pool whose only worker has ended after its call."""

    backend = "asyncio"

    def __init__(self) -> None:
        ended = subprocess.Popen(["true"])
        ended.wait()
        self._pid = ended.pid

    async def start(self, size: int, job: str) -> None:
        pass

    async def call(self, value: Any) -> tuple[int, float]:
        await asyncio.sleep(0.001)
        return self._pid, time.monotonic()

    alone = call

    async def close(self) -> None:
        pass


async def test_a_worker_that_is_gone_already_is_no_victim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_kills, "SIZE", 1)
    monkeypatch.setattr(bench_kills, "EVERY", 0.01)
    with pytest.raises(RuntimeError, match="no worker could be killed"):
        await bench_kills.measure(Gone(), 1)


@pytest.mark.parametrize("name", ["limit: blocking pipe", "multiprocessing.connection"])
def test_a_sample_answers_with_figures(name: str) -> None:
    answer = Sample("bench_echo", name, (("regime", "one core"), ("seconds", 0.02))).take()
    assert {"p50_us", "p99_us", "parent_us", "child_us", "calls"} == answer.keys()
    assert all(figure > 0 for figure in answer.values())


def test_executions_of_programs_are_counted_by_the_lm() -> None:
    answer = Sample("bench_dspy", "DSPy, 1 at a time", (("executions", 6),)).take()
    assert answer["right"] == 6, answer
    assert 0.1e3 <= answer["p50_ms"] < 2e3
    assert answer["worker_cpu_ms"] > 0
    assert 0 < answer["per_s"] <= 2 / 0.1


def program(text: str, deadline: float = 10.0) -> dict[str, Any]:
    return run_marked([sys.executable, "-c", f"import os, sys, time\n{text}"], deadline)


HANGING = """
if pid := os.fork():
    open({path!r}, "w").write(str(pid))
else:
    os.setsid()
time.sleep(60)
"""


def test_a_sample_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    answer = program(HANGING.format(path=str(path)), 0.5)
    assert answer == {"failed": "hung, killed after 0.5 s"}
    assert not ends_within({int(path.read_text())}, 1.0)


def test_a_sample_that_fails_says_why() -> None:
    assert program("raise ValueError('what went wrong')") == {
        "failed": "ValueError: what went wrong"
    }


def test_of_a_group_of_errors_the_first_is_told() -> None:
    group = ExceptionGroup("all", [ExceptionGroup("some", [ValueError("first")]), OSError()])
    assert describe(group) == "ValueError: first"


def test_a_measurement_that_fails_says_why_and_closes() -> None:
    settings = (("regime", "nine cores"), ("seconds", 0.02))
    answer = Sample("bench_echo", "limit: blocking pipe", settings).take()
    assert answer == {"failed": "KeyError: 'nine cores'"}


def test_a_sample_that_dies_without_a_word_tells_its_status() -> None:
    assert program("os.kill(os.getpid(), 9)") == {"failed": "ended with status -9"}


def test_a_contender_that_does_not_close_has_its_figures_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "CLOSING", 0.1)
    answer = program("os.write(int(sys.argv[1]), b'{\"calls\": 3}\\n'); time.sleep(60)")
    assert answer == {"calls": 3, "unclosed": True}

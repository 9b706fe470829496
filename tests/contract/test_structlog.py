"""A pool's events in an application's log."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from pool import WorkerPool
from pool.telemetry.events import EVENTS, Event, WorkerReplaced
from pool.telemetry.structlog import LEVELS, log_events
from tests.contract.pools import make_pool, until

BRIDGE = "tests.contract.timed_bridge"


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def names(log: LogCapture, level: str) -> list[str]:
    return [line["event"] for line in log.entries if line["log_level"] == level]


async def test_the_life_of_workers_is_logged_at_info_and_calls_are_not(log: LogCapture) -> None:
    pool = make_pool("forkserver", BRIDGE, size=1)
    log_events(pool)
    async with pool:
        await pool.call("plain", {"seconds": 0})
    assert set(names(log, "info")) >= {"pool.opened", "worker.started", "worker.exited"}
    assert not names(log, "debug")
    started = next(line for line in log.entries if line["event"] == "worker.started")
    assert started["pool"] == pool.name
    assert started["pid"] > 0
    exited = next(line for line in log.entries if line["event"] == "worker.exited")
    assert exited["code"] == 0
    assert "signal" not in exited


async def test_calls_are_logged_at_debug_with_their_phases(log: LogCapture) -> None:
    pool = make_pool("forkserver", BRIDGE, size=1)
    log_events(pool, structlog.get_logger(service="answers"), "debug")
    async with pool:
        await pool.call("plain", {"seconds": 0})
        await pool.call("silent")
    told, silent = (line for line in log.entries if line["event"] == "call.finished")
    assert set(told["phases"]) == {"all", "part"}
    assert (told["service"], told["command"], told["outcome"]) == ("answers", "plain", "ok")
    assert "phases" not in silent


async def test_a_lost_worker_is_a_warning_and_all_that_there_is_at_that_level(
    log: LogCapture,
) -> None:
    pool = make_pool("forkserver", size=1)
    log_events(pool, level="warning")
    replaced: list[Event] = []
    pool.listen(replaced.extend, [WorkerReplaced])
    async with pool:
        await pool.wait_ready()
        (worker,) = pool.stats().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await until(pool, lambda stats: bool(replaced))
    assert [line["event"] for line in log.entries] == ["worker.lost"]
    assert log.entries[0]["worker"] == worker.name


class Listening:
    """Remembers what was listened to."""

    kinds: Sequence[type[Event]] = ()

    def listen(self, listener: Any, kinds: Sequence[type[Event]]) -> Any:
        self.kinds = kinds
        return lambda: None


@pytest.mark.parametrize("level", LEVELS)
def test_only_what_the_level_lets_through_is_listened_to(level: str) -> None:
    pool = Listening()
    log_events(pool, level=level)
    wanted = LEVELS[LEVELS.index(level) :]
    assert set(pool.kinds) == {kind for kind in EVENTS if kind.level in wanted}
    assert level != "debug" or len(pool.kinds) == len(EVENTS)


def test_there_is_no_other_level() -> None:
    with pytest.raises(ValueError, match="debug, info, warning"):
        log_events(WorkerPool("bridge.echo"), level="trace")


async def test_it_can_be_ended(log: LogCapture) -> None:
    pool = make_pool("forkserver", size=1)
    end = log_events(pool)
    end()
    async with pool:
        await pool.call("echo")
    assert not log.entries

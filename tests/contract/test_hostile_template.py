"""A template whose user code speaks for it: its claims are verified, what it sends is bounded."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from pool import EnvironmentInvalid, WorkerPool, WorkerStartError
from pool.launch import forked, process
from tests.contract.witness import MEGABYTE, listening, witnessed
from tests.processes import descriptors

BRIDGE = "tests.contract.hostile_templates"


@pytest.fixture
def victim() -> Iterator[int]:
    """Somebody else's process, which leads a group of its own; it is there at the end."""
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield sleeper.pid
    survived = sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()
    assert survived


@pytest.fixture(autouse=True)
def no_accident(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No callback of the loop raises: asyncio would log that."""
    yield
    assert not [r.getMessage() for r in caplog.get_records("call") if r.name == "asyncio"]


def lying(vice: str, victim: int, start_timeout: float = 5.0) -> WorkerPool:
    options = {"vice": vice, "victim": victim}
    return WorkerPool(
        BRIDGE,
        size=1,
        options=options,
        start_timeout=start_timeout,
        max_restarts=0,
        grace_period=0.1,
    )


SENT = [
    ("flood_of_descriptors", "SIGKILL"),
    ("large_message", "SIGKILL"),
    ("no_message", "SIGKILL"),
    ("not_unicode", "SIGKILL"),
    ("deep", "SIGKILL"),
    ("pid_of_nobody", "SIGKILL"),
    ("many_problems", "problem 99"),
]


@pytest.mark.parametrize(("vice", "said"), SENT)
async def test_what_a_template_sends_is_bounded(vice: str, said: str, victim: int) -> None:
    with listening():
        async with witnessed(16 * MEGABYTE), lying(vice, victim) as pool:
            with pytest.raises(EnvironmentInvalid, match=said) as caught:
                await pool.call("anything")
            assert len(caught.value.problems) <= 100


async def test_a_flood_of_messages_ends_with_the_time_allowed(victim: int) -> None:
    async with witnessed(16 * MEGABYTE), lying("flood_of_messages", victim, 1.0) as pool:
        with pytest.raises(EnvironmentInvalid, match="did not end within"):
            await pool.call("anything")


async def test_a_flood_of_descriptors_is_closed(victim: int) -> None:
    before = len(descriptors())
    async with lying("flood_of_descriptors", victim) as pool:
        with pytest.raises(EnvironmentInvalid):
            await pool.call("anything")
        assert len(descriptors()) < before + 20


REFUSED = [
    "claim_a_stranger",
    "claim_a_stranger_by_number",
    "claim_with_a_file",
    "claim_with_nothing",
    "claim_the_pool",
    "claim_what_nobody_asked_for",
]
BELIEVED = [
    "claim_a_stranger_by_the_pidfd_of_the_dead",
    "claim_a_child_twice",
    "claim_and_say_that_it_ended",
]


@pytest.mark.parametrize("vice", REFUSED)
async def test_a_false_claim_is_refused_and_has_nobody_killed(vice: str, victim: int) -> None:
    async with lying(vice, victim) as pool:
        with pytest.raises(WorkerStartError, match="could not be started"):
            await pool.call("anything")


@pytest.mark.parametrize("to_group", [process.TO_GROUP, 1 << 30], ids=["new", "old kernel"])
@pytest.mark.parametrize("vice", BELIEVED)
async def test_a_claim_that_may_be_true_has_nobody_else_killed(
    vice: str, to_group: int, victim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TO_GROUP", to_group)
    async with lying(vice, victim, start_timeout=1.0) as pool:
        with pytest.raises(WorkerStartError):
            await pool.call("anything")


def test_a_worker_belongs_to_its_template(victim: int) -> None:
    pidfd, own = os.pidfd_open(victim), os.getpid()
    assert forked.is_worker(victim, pidfd, own)
    assert not forked.is_worker(victim, pidfd, victim)
    assert not forked.is_worker(victim, pidfd, 2)
    assert not forked.is_worker(own, pidfd, os.getppid())
    os.close(pidfd)


@pytest.mark.parametrize("flag", [process.TO_GROUP, 1 << 30], ids=["new", "old kernel"])
def test_a_group_is_killed_by_its_leaders_pidfd_alone(
    flag: int, victim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TO_GROUP", flag)
    child = subprocess.Popen(["sh", "-c", "sleep 600"], start_new_session=True)
    pidfd = os.pidfd_open(child.pid)
    process.kill_group_of(pidfd, child.pid)
    assert child.wait() == -signal.SIGKILL
    # Its number may be another's from here on.
    process.kill_group_of(pidfd, victim)
    os.close(pidfd)

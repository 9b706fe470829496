"""One scenario for each row of docs/failures.md, under the row's name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pool import PoolStats, WorkerPool
from tests.contract import pools


@dataclass(frozen=True)
class Shown:
    """What a failure led to: the caller's error if there was one, and the pool's counts."""

    error: BaseException | None = None
    stats: PoolStats | None = None


@dataclass(frozen=True)
class ProvenBy:
    """A test that shows it at length."""

    test: Callable[..., object]


Scenario = Callable[[], Awaitable[Shown]]

SCENARIOS: dict[str, Scenario | ProvenBy] = {}


def shows(failure: str) -> Callable[[Scenario], Scenario]:
    """Register what provokes the failure of that name."""

    def register(scenario: Scenario) -> Scenario:
        assert failure not in SCENARIOS, f"two scenarios for {failure!r}"
        SCENARIOS[failure] = scenario
        return scenario

    return register


def faulty(**options: Any) -> WorkerPool:
    """A pool of one worker that misbehaves when told to."""
    return pools.make_pool("forkserver", "bridge.faulty", **{"size": 1, **options})


async def error_of(call: Awaitable[Any]) -> BaseException:
    """The error that the call ends with."""
    outcomes: list[object] = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(outcomes[0], BaseException), f"no error but {outcomes[0]!r}"
    return outcomes[0]


async def failing(pool: WorkerPool, command: str, **args: Any) -> Shown:
    """What a call shows that fails."""
    error = await error_of(pool.call(command, args))
    return Shown(error, pool.stats())

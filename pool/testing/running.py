"""A main function in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pool.testing.loop import VirtualLoop

_T = TypeVar("_T")


def run(
    main: Coroutine[Any, Any, _T],
    *,
    seed: int | None = None,
    on_turn: Callable[[], object] | None = None,
    limit: float = 3600.0,
    turns: int = 1_000_000,
) -> _T:
    """Run a coroutine on a `VirtualLoop` of its own, as `asyncio.run` does, and return its result.

    Raises `Deadlock`, or `Livelock` when more than `limit` virtual seconds or
    so many `turns` have passed. In any case all tasks are cancelled and the
    loop is closed; for the cancelled tasks' own endings the same limits hold.
    """
    loop = VirtualLoop(seed, on_turn)
    loop.bound(limit, turns)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        loop.raise_failure()
        return result

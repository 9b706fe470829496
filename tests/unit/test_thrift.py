"""Memory is given back a while after it was last used, once."""

from __future__ import annotations

import asyncio

from pool.clock import Clock
from pool.exchange.thrift import LINGER, Thrift
from pool.testing import run


def trimmed(*uses: float, closed_at: float | None = None) -> list[float]:
    """Instants, from the first use on, at which it was given back."""
    found: list[float] = []

    async def main() -> None:
        clock = Clock()
        began = clock.now()
        thrift = Thrift(clock, lambda: found.append(clock.now() - began))
        for at in uses:
            await asyncio.sleep(began + at - clock.now())
            thrift.used()
        if closed_at is not None:
            await asyncio.sleep(began + closed_at - clock.now())
            thrift.close()
        await asyncio.sleep(10 * LINGER)
        clock.close()

    run(main())
    return found


def test_after_a_while_without_use() -> None:
    assert trimmed(0.0) == [LINGER]


def test_not_while_it_is_used() -> None:
    assert trimmed(0.0, 0.75, 1.5) == [1.5 + LINGER]
    assert trimmed(0.0, 0.75) == [0.75 + LINGER]


def test_again_after_another_use() -> None:
    assert trimmed(0.0, 4.0) == [LINGER, 4.0 + LINGER]


def test_never_once_it_is_closed() -> None:
    assert trimmed(0.0, closed_at=0.5) == []
    assert trimmed() == trimmed(closed_at=0.5) == []

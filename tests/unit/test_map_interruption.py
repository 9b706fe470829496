"""When a signal ends the map command, and how."""

from __future__ import annotations

import asyncio
import signal

import pytest

from pool.cli.map.interruption import Interrupted, Interruption

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@each_signal
def test_outside_of_a_loop_it_is_raised(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted), Interruption() as interruption:
        signal.raise_signal(number)
    assert interruption.signal == number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@each_signal
def test_a_second_one_has_its_default_effect(number: signal.Signals) -> None:
    with Interruption():
        with pytest.raises(Interrupted):
            signal.raise_signal(number)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_in_a_loop_it_cancels_the_task() -> None:
    async def main() -> None:
        interruption.cancels(asyncio.current_task())
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(10)

    with Interruption() as interruption, pytest.raises(asyncio.CancelledError), interruption.held():
        asyncio.run(main())
    assert interruption.signal == signal.SIGTERM


def test_one_that_comes_before_the_task_is_named_cancels_it() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGTERM)
        interruption.cancels(asyncio.current_task())
        await asyncio.sleep(10)

    with Interruption() as interruption, pytest.raises(asyncio.CancelledError), interruption.held():
        asyncio.run(main())


def test_one_that_comes_after_the_task_waits_for_the_end_of_the_loop() -> None:
    async def main() -> str:
        interruption.cancels(asyncio.current_task())
        interruption.cancels(None)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        return "done"

    with Interruption() as interruption, pytest.raises(Interrupted), interruption.held():
        assert asyncio.run(main()) == "done"

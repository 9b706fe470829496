"""The way to a pool's event loop for those who look at it from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_on(loop: asyncio.AbstractEventLoop | None, work: Callable[[], T], timeout: float) -> T:
    """Run `work` as a step of the loop, or here and now if that does not run elsewhere.

    Raises what `work` raises, and `TimeoutError` after so many seconds.
    """
    if loop is None or not loop.is_running() or _is_here(loop):
        return work()
    done: Future[T] = Future()
    loop.call_soon_threadsafe(_fulfil, done, work)
    try:
        return done.result(timeout)
    finally:
        done.cancel()


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _fulfil(done: Future[T], work: Callable[[], T]) -> None:
    if not done.set_running_or_notify_cancel():
        return  # nobody waits any more
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)

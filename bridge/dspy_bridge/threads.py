"""Programs that can only block, beside calls that share one event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import dspy

MAX_THREADS = 256
"""Blocking programs that run at a time; more wait for their turn."""

# Not the loop's own threads: dspy prepares every asynchronous request on those, and there are
# few of them, so that programs which hold them would hold up everybody else's.
_threads = ThreadPoolExecutor(MAX_THREADS, "dspy-program")


class OnThread(dspy.Module):  # type: ignore[misc]
    """Makes a program that has `forward` alone one that can be awaited.

    It runs on a thread, with the caller's dspy settings; its requests are made
    on the caller's loop. If the call is cancelled the request in progress is
    cancelled, and the program ends there or where it makes its next one.
    """

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program

    async def aforward(self, **inputs: Any) -> Any:
        lm = LoopLM.of(dspy.settings.lm)
        with dspy.context(lm=lm):
            return await _run(partial(self.program, **inputs), lm.cancel)


async def _run(function: Callable[[], Any], cancel: Callable[[], None]) -> Any:
    """Run on a thread. Returns or raises when the thread is done, if cancelled too."""
    context = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(_threads, context.run, function)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancel()
        await asyncio.gather(running, return_exceptions=True)
        raise


class LoopLM(dspy.LM):  # type: ignore[misc]
    """An LM whose blocking calls, from a thread, are requests on the loop."""

    @classmethod
    def of(cls, lm: dspy.LM) -> LoopLM:
        """The same LM with the same connections, for one call of the running loop's."""
        made = lm.copy()
        made.__class__ = cls
        made._loop = asyncio.get_running_loop()
        made._requests = set()
        made._is_cancelled = False
        return made  # type: ignore[no-any-return]

    def cancel(self) -> None:
        """End what is being asked, and refuse what will be. To be called on the loop."""
        self._is_cancelled = True
        for request in self._requests:
            request.cancel()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        asked = asyncio.run_coroutine_threadsafe(self._ask(*args, **kwargs), self._loop)
        try:
            return asked.result()
        except concurrent.futures.CancelledError:
            # This one is no Exception: a program that survives errors does not go on after it.
            raise asyncio.CancelledError from None

    async def _ask(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_cancelled:
            raise asyncio.CancelledError
        request = asyncio.current_task()
        self._requests.add(request)
        try:
            return await self.acall(*args, **kwargs)
        finally:
            self._requests.discard(request)

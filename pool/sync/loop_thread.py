"""An event loop in a thread of its own, for `SyncWorkerPool`, and the way to it from others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, Generic, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from pool.errors import PoolClosed
from pool.launch.descriptors import fork_count

T = TypeVar("T")


class LoopThread:
    """Runs from when it is made until `stop`. `name` is what errors call the pool.

    A wait of another thread that is interrupted there, by `KeyboardInterrupt`, is
    cancelled on the loop. All of them raise `PoolClosed` after `stop`, and
    `RuntimeError` on the loop's own thread, which would wait for itself.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._forks = fork_count()
        self._is_over = False
        self._running = start_blocking_portal("asyncio")
        self._portal = self._running.__enter__()
        self._ident: int = self._portal.call(threading.get_ident)

    @property
    def is_here(self) -> bool:
        """Whether the thread is in this process: a process that was forked has no such thread."""
        return self._forks == fork_count()

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run an asynchronous function on the loop and return what it returns."""
        future: Future[T] = self._start(function)
        try:
            return self._wait(future)
        except BaseException:
            future.cancel()
            raise

    def do(self, function: Callable[[], T]) -> T:
        """`call`, for a plain function."""
        future: Future[T] = self._start(function)
        return self._wait(future)

    @contextmanager
    def inside(self, block: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter and leave an asynchronous block, both in one task of the loop.

        What is raised inside is not passed on to it: our blocks take no notice of that.
        """
        visit = _Visit(block)
        try:
            self._start(visit.run)
            yield self._wait(visit.entered)
        finally:
            with suppress(PoolClosed):  # then `stop` has left it
                self._start(visit.leave)
                self._wait(visit.over)

    def stop(self) -> None:
        """End the thread; a block that another thread is inside of is left first."""
        self._is_over = True
        self._portal.call(self._portal.stop, True)
        self._running.__exit__(None, None, None)

    def _start(self, function: Callable[[], object]) -> Future[Any]:
        self._check()
        try:
            return self._portal.start_task_soon(function)
        except RuntimeError:
            self._check()  # it was stopped in between
            raise

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except CancelledError:
            raise self._closed() from None

    def _check(self) -> None:
        if not self.is_here:
            raise PoolClosed(f"{self._name}: the pool was opened in another process")
        if self._is_over:
            raise self._closed()
        self.check_thread()

    def check_thread(self) -> None:
        """Raise `RuntimeError` on the loop's own thread."""
        if self._ident == threading.get_ident():
            raise RuntimeError(
                f"{self._name}: the pool is used on its own thread, which would wait for itself; "
                "an iterable that was given to `map` runs there"
            )

    def _closed(self) -> PoolClosed:
        return PoolClosed(f"{self._name}: the pool is closed")


class _Visit(Generic[T]):
    """A block that is entered and left by one task of the loop, when another thread says so."""

    _scope: anyio.CancelScope | None = None
    _is_inside = False

    def __init__(self, block: AbstractAsyncContextManager[T]) -> None:
        self._block = block
        self._left = asyncio.Event()
        self.entered: Future[T] = Future()
        self.over: Future[None] = Future()

    async def run(self) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                async with self._block as inner:
                    self._is_inside = True
                    self.entered.set_result(inner)
                    await self._left.wait()
        except Exception as error:
            (self.over if self._is_inside else self.entered).set_exception(error)
        finally:
            self.entered.cancel()
            if not self.over.done():
                self.over.set_result(None)

    def leave(self) -> None:
        """Let `run` end; called on the loop, where it has begun unless an interrupt came before."""
        if self._scope is None:
            self.over.set_result(None)
        elif self._is_inside:
            self._left.set()
        else:
            self._scope.cancel()

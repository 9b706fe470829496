"""`SyncWorkerPool`: the same pool for synchronous code, on an event loop in a thread of its own."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from pool.config import PoolOptions
from pool.errors import PoolClosed
from pool.pool import WorkerPool
from pool.stats import PoolStats
from pool.sync.lease import SyncLease
from pool.sync.loop_thread import LoopThread
from pool.sync.results import SyncItems, SyncResults
from pool.telemetry.events import RARE, Event
from pool.telemetry.hub import Listener
from pool.telemetry.tracing import Tracer
from pool.timeouts import UNSET, Timeout

if TYPE_CHECKING:
    from pool.profile.sync import SyncProfiler
    from pool.profile.thresholds import Thresholds
    from pool.telemetry.http import TelemetryServer

T = TypeVar("T")


class SyncWorkerPool:
    """`WorkerPool` without `async`: same settings, same errors, any number of threads.

    ::

        with SyncWorkerPool("my_bridge:bridge", size=8) as pool:
            with pool.checkout(timeout=5.0) as worker:
                worker.call("classify", {"text": "..."})
    """

    def __init__(
        self,
        bridge: str | None = None,
        *,
        argv: Sequence[str] | None = None,
        **options: Unpack[PoolOptions],
    ) -> None:
        self._pool = WorkerPool(bridge, argv=argv, **options)
        self._loop: LoopThread | None = None

    def trace(self, tracer: Tracer | None) -> None:
        """Have each call traced, within the trace of its thread: see `WorkerPool.trace`."""
        self._pool.trace(tracer)

    @property
    def name(self) -> str:
        """What logs and errors call the pool."""
        return self._pool.name

    def open(self) -> None:
        """Start the event loop's thread and the pool on it."""
        if self._loop is not None:
            raise PoolClosed(f"{self._pool.name}: the pool is open already")
        self._loop = LoopThread(self._pool.name)
        try:
            self._run(self._pool.open)
        except BaseException:
            self._stop_thread()
            raise

    def wait_ready(self, n: int | None = None, timeout: Timeout = UNSET) -> None:
        """Warm up: see `WorkerPool.wait_ready`."""
        self._run(partial(self._pool.wait_ready, n, timeout))

    def call(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
        idempotent: bool = False,
        attempts: int = 3,
    ) -> Any:
        """Run a command on any worker: see `WorkerPool.call`."""
        return self._run(
            partial(
                self._pool.call,
                command,
                args,
                timeout=timeout,
                result_type=result_type,
                session=session,
                idempotent=idempotent,
                attempts=attempts,
            )
        )

    @contextmanager
    def stream(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Iterator[SyncItems]:
        """Run a command whose result comes item by item: see `WorkerPool.stream`.

        ::

            with pool.stream("count", {"n": 3}) as items:
                for item in items:
                    ...
        """
        loop = self._open_loop()
        stream = loop.do(
            partial(
                self._pool.stream,
                command,
                args,
                timeout=timeout,
                result_type=result_type,
                session=session,
            )
        )
        with loop.inside(stream) as items:
            yield SyncItems(items, loop)

    @contextmanager
    def map(
        self,
        command: str,
        items: Iterable[object] | AsyncIterable[object],
        *,
        ordered: bool = True,
        max_in_flight: int | None = None,
        batches: bool = True,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
        idempotent: bool = False,
        attempts: int = 3,
        return_exceptions: bool = False,
    ) -> Iterator[SyncResults]:
        """Call a command for each item of a dataset of any length: see `WorkerPool.map`.

        ::

            with pool.map("classify", texts) as results:
                for label in results:
                    ...

        `items` is iterated in the pool's own thread, a few items ahead of what is
        read: it should neither block for long, which keeps all calls waiting, nor use
        the pool, which is an error. What its iterator raises is raised where results
        are read, after those of the items before.
        """
        loop = self._open_loop()
        mapping = loop.do(
            partial(
                self._pool.map,
                command,
                items,
                ordered=ordered,
                max_in_flight=max_in_flight,
                batches=batches,
                timeout=timeout,
                result_type=result_type,
                session=session,
                idempotent=idempotent,
                attempts=attempts,
                return_exceptions=return_exceptions,
            )
        )
        with loop.inside(mapping) as results:
            yield SyncResults(results, loop, return_exceptions)

    @contextmanager
    def checkout(self, *, timeout: Timeout = UNSET) -> Iterator[SyncLease]:
        """Lend a worker to the block: see `WorkerPool.checkout`.

        Held longer than `leak_threshold`, it is reported with the stack of the
        thread that entered the block.
        """
        loop = self._open_loop()
        # On the loop's thread: a closed pool refuses here, in the loop's own time.
        checkout = loop.do(partial(self._pool.checkout, timeout=timeout))
        checkout.note_caller()
        with loop.inside(checkout) as lease:
            yield SyncLease(lease, loop)

    def stats(self) -> PoolStats:
        """A frozen picture of this moment."""
        return self._open_loop().do(self._pool.stats)

    def listen(self, listener: Listener, kinds: Iterable[type[Event]] = RARE) -> Callable[[], None]:
        """Have `listener` told of events, on the pool's own thread: see `WorkerPool.listen`."""
        leave = self.on_loop(partial(self._pool.listen, listener, kinds))
        return lambda: self.on_loop(leave)

    @property
    def asynchronous(self) -> WorkerPool:
        """The pool itself, for who looks at it on its own thread."""
        return self._pool

    def on_loop(self, look: Callable[[], T], timeout: float = 5.0) -> T:
        """Call `look` on the pool's own thread: see `WorkerPool.on_loop`."""
        return self._pool.on_loop(look, timeout)

    def why_not_ready(self) -> str | None:
        """Why no work should be sent here now: see `WorkerPool.why_not_ready`."""
        return self.on_loop(self._pool.why_not_ready)

    @contextmanager
    def serve_telemetry(
        self, host: str = "127.0.0.1", port: int = 0, *, commands: int | Collection[str] = 50
    ) -> Iterator[TelemetryServer]:
        """Answer by HTTP while the block runs, on the pool's own thread.

        See `WorkerPool.serve_telemetry`. The pool must be open.
        """
        loop = self._open_loop()
        with loop.inside(self._pool.serve_telemetry(host, port, commands=commands)) as server:
            yield server

    @contextmanager
    def profile(
        self,
        *,
        interval: float = 0.25,
        keep: int = 100,
        thresholds: Thresholds | None = None,
    ) -> Iterator[SyncProfiler]:
        """Profile the block: see `WorkerPool.profile`."""
        from pool.profile.sync import SyncProfiler

        loop = self._open_loop()
        make = partial(self._pool.profile, interval=interval, keep=keep, thresholds=thresholds)
        profiler = SyncProfiler(loop.do(make), loop)
        profiler.start()
        try:
            yield profiler
        finally:
            with suppress(PoolClosed):  # with the pool, it has ended
                profiler.stop()

    def resize(self, size: int, overflow: int | None = None) -> None:
        """Change how many workers serve: see `WorkerPool.resize`."""
        self._open_loop().do(partial(self._pool.resize, size, overflow))

    def reload(self) -> None:
        """Replace all workers by fresh ones: see `WorkerPool.reload`."""
        self._run(self._pool.reload)

    def drain(self) -> None:
        """Finish all work, then close: see `WorkerPool.drain`."""
        self._end(self._pool.drain)

    def close(self) -> None:
        """Close within the grace period: see `WorkerPool.aclose`."""
        self._end(self._pool.aclose)

    def terminate(self) -> None:
        """Kill every worker and close: see `WorkerPool.terminate`."""
        self._end(self._pool.terminate)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.terminate()

    def _open_loop(self) -> LoopThread:
        if self._loop is None:
            raise PoolClosed(f"{self._pool.name}: the pool is not open; use `with`")
        return self._loop

    def _run(self, function: Callable[[], Awaitable[T]]) -> T:
        return self._open_loop().call(function)

    def _end(self, how: Callable[[], Awaitable[None]]) -> None:
        if self._loop is None or not self._loop.is_here:
            return
        self._loop.check_thread()
        try:
            self._run(how)
        finally:
            self._stop_thread()

    def _stop_thread(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

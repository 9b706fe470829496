"""`SyncWorkerPool`: the same pool for synchronous code, on an event loop in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from pool.config import PoolOptions
from pool.errors import PoolClosed
from pool.launch.descriptors import fork_count
from pool.lease import Lease
from pool.pool import WorkerPool
from pool.stats import PoolStats
from pool.timeouts import UNSET, Timeout

T = TypeVar("T")


class SyncLease:
    """A lease for synchronous code: see `Lease`."""

    def __init__(self, lease: Lease, portal: BlockingPortal) -> None:
        self._lease = lease
        self._portal = portal

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._lease.name

    @property
    def pid(self) -> int | None:
        """The worker's process."""
        return self._lease.pid

    def call(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Any:
        """Run a command and return its result: see `Lease.call`."""
        return self._portal.call(
            partial(
                self._lease.call,
                command,
                args,
                timeout=timeout,
                result_type=result_type,
                session=session,
            )
        )


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
        self._forks = 0
        self._portal: BlockingPortal | None = None
        self._thread: AbstractContextManager[BlockingPortal] | None = None

    def open(self) -> None:
        """Start the event loop's thread and the pool on it."""
        if self._portal is not None:
            raise PoolClosed(f"{self._pool.name}: the pool is open already")
        self._forks = fork_count()
        self._thread = start_blocking_portal("asyncio")
        self._portal = self._thread.__enter__()
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
    def checkout(self, *, timeout: Timeout = UNSET) -> Iterator[SyncLease]:
        """Lend a worker to the block: see `WorkerPool.checkout`.

        Held longer than `leak_threshold`, it is reported with the stack of the
        thread that entered the block.
        """
        portal = self._open_portal()
        # On the loop's thread: a closed pool refuses here, in the loop's own time.
        checkout = portal.call(partial(self._pool.checkout, timeout=timeout))
        checkout.note_caller()
        with portal.wrap_async_context_manager(checkout) as lease:
            yield SyncLease(lease, portal)

    def stats(self) -> PoolStats:
        """A frozen picture of this moment."""
        return self._open_portal().call(self._pool.stats)

    def resize(self, size: int, overflow: int | None = None) -> None:
        """Change how many workers serve: see `WorkerPool.resize`."""
        self._open_portal().call(partial(self._pool.resize, size, overflow))

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

    def _open_portal(self) -> BlockingPortal:
        if self._portal is None:
            raise PoolClosed(f"{self._pool.name}: the pool is not open; use `with`")
        if self._forks != fork_count():
            # The event loop's thread is in the process that opened the pool, not in this one.
            raise PoolClosed(f"{self._pool.name}: the pool was opened in another process")
        return self._portal

    def _run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        result: T = self._open_portal().call(function)
        return result

    def _end(self, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._thread is None or self._forks != fork_count():
            return
        try:
            self._run(how)
        finally:
            self._stop_thread()

    def _stop_thread(self) -> None:
        thread, self._thread, self._portal = self._thread, None, None
        if thread is not None:
            thread.__exit__(None, None, None)

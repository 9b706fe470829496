"""`WorkerPool`: the public face, in the order of a call's way through it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import anyio

from pool.acquire import admit, serving
from pool.config import PoolConfig, PoolOptions
from pool.dataset.mapping import Mapping
from pool.dispatch import run_until_done
from pool.errors import PoolClosed, PoolTimeout
from pool.exchange.calls import check_name
from pool.exchange.codec import Codec
from pool.launch import Launcher
from pool.launch.command import secrets_of
from pool.launch.descriptors import fork_count
from pool.launch.forkserver import ForkLauncher
from pool.launch.spawn import SpawnLauncher
from pool.lease import Checkout
from pool.lifecycle import PoolState
from pool.picture import take_picture
from pool.retries import RetryRule
from pool.stats import PoolStats
from pool.stream import PoolSeat, Stream
from pool.supervisor import Supervisor
from pool.telemetry.events import RARE, Event
from pool.telemetry.hub import Hub, Listener
from pool.telemetry.reaching import run_on
from pool.telemetry.readiness import why_not_ready
from pool.telemetry.tracing import Tracer
from pool.timeouts import UNSET, Deadline, Timeout, seconds
from pool.worker.timings import TemplateStart

if TYPE_CHECKING:
    from pool.profile.profiler import Profiler
    from pool.profile.thresholds import Thresholds
    from pool.telemetry.http import TelemetryServer

T = TypeVar("T")


class WorkerPool:
    """A pool of supervised subprocesses, each running a bridge.

    ::

        async with WorkerPool("my_bridge:bridge", size=8) as pool:
            async with pool.checkout() as worker:
                label = await worker.call("classify", {"text": "..."})

    `bridge` is `package.module` or `package.module:name`; `argv` starts a
    foreign executable that speaks the wire instead. Every other setting is a
    keyword argument: see `PoolConfig` for units and defaults. Raises
    `ValueError` for settings that cannot be.

    A pool may be opened once, is used from one event loop, and only in the
    process that opened it.
    """

    def __init__(
        self,
        bridge: str | None = None,
        *,
        argv: Sequence[str] | None = None,
        **options: Unpack[PoolOptions],
    ) -> None:
        self._config = PoolConfig(bridge=bridge, argv=argv, **options)  # type: ignore[arg-type]
        self._random = Random()
        self._hub = Hub(self.name)
        self._tracer: Tracer | None = None
        self._codec = Codec()
        self._supervisor: Supervisor | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = self._supervisor.ledger.life.state if self._supervisor else PoolState.NEW
        return f"<WorkerPool {self.name!r} {state.value}>"

    @property
    def name(self) -> str:
        """What logs and errors call the pool."""
        return self._config.pool_name

    # Opening

    async def open(self) -> None:
        """Start supervising. With `min_ready`, workers start in the background from here on."""
        if self._supervisor is not None:
            raise PoolClosed(f"{self.name}: a pool can be opened once; make a new one")
        _check_platform()
        supervisor = self._supervisor = Supervisor(
            self._config, self._launcher(), self._random, self._hub, self._codec
        )
        supervisor.trace(self._tracer)
        # Nothing is awaited: a cancelled `open` cannot leave a pool that nobody will close.
        supervisor.open()
        self._task = asyncio.create_task(supervisor.run(), name=f"bridgepool {self.name}")

    def _launcher(self) -> Launcher:
        secrets = secrets_of(self._config)
        if self._config.argv is not None or self._config.start_method == "spawn":
            return SpawnLauncher(self._config, secrets)
        return ForkLauncher(self._config, secrets, self._template_loaded)

    def _template_loaded(self, start: TemplateStart) -> None:
        if self._supervisor is not None:
            self._supervisor.chronicle.template_loaded(start)

    async def wait_ready(self, n: int | None = None, timeout: Timeout = UNSET) -> None:
        """Warm up `n` workers, by default `size`, and return when they are ready.

        Raises `PoolTimeout` after `timeout` seconds (by default
        `start_timeout`), `EnvironmentInvalid`, or `WorkerStartError`.
        """
        supervisor = self._open_supervisor()
        size = supervisor.ledger.limits.size
        count = size if n is None else n
        if not 1 <= count <= size:
            raise ValueError(f"wait_ready({n}): from 1 to the pool's size, {size}")
        allowed = seconds(timeout, self._config.start_timeout)
        if await serving(supervisor, count, Deadline.after(supervisor.now(), allowed)):
            return
        cause = supervisor.ledger.restarts.last_cause
        raise PoolTimeout(
            f"{self.name}: {count} workers were not ready within {allowed:g} s; "
            f"{take_picture(supervisor).line()}"
        ) from cause

    # Calling

    async def call(
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
        """Check out any worker, run a command on it, and return its result as `result_type`.

        `timeout`, in seconds from now, covers the wait for a worker and the
        call; the wait alone is bounded by `checkout_timeout` too. A call whose
        worker dies is made again, up to `attempts` times within the deadline,
        if it is `idempotent` or its request never left whole.

        Raises what `checkout` and a lease's `call` raise, `CircuitOpen` before
        anything else is done.
        """
        supervisor = self._open_supervisor()
        config = self._config
        allowed = config.call_timeout if timeout is UNSET else seconds(timeout, None)
        now = supervisor.clock.now()
        deadline = Deadline.after(now, allowed)
        with supervisor.guarding(command) as traced:
            prepared = supervisor.codec.prepare(
                command, args, session, config.max_frame_bytes, traced
            )
            rule = RetryRule(idempotent, attempts)
            reply = await run_until_done(supervisor, prepared, deadline, rule, now)
            return supervisor.codec.result_of(reply, command, result_type, supervisor.secrets)

    def stream(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Stream:
        """Run a command whose result comes item by item, a generator of the bridge.

        ::

            async with pool.stream("count", {"n": 3}) as items:
                async for item in items:
                    ...

        Each item is of `result_type`. `timeout`, in seconds, is by default
        `call_timeout`: the longest wait for a worker and the first item, and then
        for each next one; time that the block takes does not count. A block that
        is slow stops the generator, and nobody else: at most 256 items wait for
        it. When the block is left early the generator is ended.

        Entering the block and reading raise what `call` raises; an error comes
        after the items that came before it.
        """
        allowed = seconds(timeout, self._config.call_timeout)
        supervisor = self._open_supervisor()
        return Stream(
            supervisor, PoolSeat(supervisor), command, args, session, allowed, result_type
        )

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
    ) -> Mapping:
        """Call a command for each item, the arguments of one call, of a dataset of any length.

        ::

            async with pool.map("classify", texts) as results:
                async for label in results:
                    ...

        Results come in the order of the items, or, with `ordered=False`, as they are
        there; `results.index` tells whose came last. At most `max_in_flight` items
        are taken from `items` before the first of their results is read: by default a
        few for each slot. An error of one call is raised in its place, and the next
        result can be asked for; with `return_exceptions` it is returned instead.

        Calls of a command that is quick travel in batches, many in one frame, where
        the bridge can do that. Such a batch shares the fate of its worker: without
        `idempotent` each of its calls that was not told to be done fails with it; with
        it they are made again one by one. `batches=False` keeps calls apart.

        `timeout` is for each call, or batch, and the wait for a worker; `session`,
        `idempotent` and `attempts` are as with `call`.
        """
        supervisor = self._open_supervisor()
        check_name(command)
        if max_in_flight is not None and max_in_flight < 1:
            raise ValueError(f"max_in_flight={max_in_flight}: at least 1, or None")

        def call(item: object) -> Awaitable[Any]:
            return self.call(
                command,
                item,
                timeout=timeout,
                result_type=result_type,
                session=session,
                idempotent=idempotent,
                attempts=attempts,
            )

        return Mapping(
            supervisor,
            call,
            command,
            items,
            ordered=ordered,
            max_in_flight=max_in_flight,
            batches=batches and session is None,
            allowed=seconds(timeout, self._config.call_timeout),
            result_type=result_type,
            rule=RetryRule(idempotent, attempts),
            return_exceptions=return_exceptions,
        )

    def checkout(self, *, timeout: Timeout = UNSET) -> Checkout:
        """Lend a worker to the block of an `async with`.

        Waits up to `timeout` seconds, by default `checkout_timeout`, from the
        moment the block is entered. Raises `PoolSaturated` at once if too many
        wait already, `PoolTimeout`, `PoolClosed`, `EnvironmentInvalid`, or
        `WorkerStartError` if the pool is in a crash loop. Held longer than
        `leak_threshold`, it is reported with the stack of whoever entered it.
        """
        config = self._config
        allowed = config.checkout_timeout if timeout is UNSET else seconds(timeout, None)
        return Checkout(self._open_supervisor(), allowed)

    def stats(self) -> PoolStats:
        """A frozen picture of this moment; raises `PoolClosed` if the pool was never opened."""
        if self._supervisor is None:
            raise PoolClosed(f"{self.name}: the pool is not open")
        return take_picture(self._supervisor)

    def _open_supervisor(self, *, even_failed: bool = False) -> Supervisor:
        supervisor = self._supervisor
        if supervisor is None:
            raise PoolClosed(
                f"{self.name}: the pool is not open; use `async with` or `await pool.open()`"
            )
        admit(supervisor, even_failed=even_failed)
        return supervisor

    async def reload(self) -> None:
        """Replace all workers, one at a time, by workers with fresh code and environment.

        No call is lost and capacity is never below `size - 1`: a worker goes
        when its replacement is ready and its calls are finished. Returns when
        the last one has gone. Calls of `reload` come one after the other.

        Raises `EnvironmentInvalid`, and nothing has changed; `WorkerStartError`
        if a replacement cannot start, and the workers that are left stay;
        `PoolClosed`. Cancelled, the workers that are left stay too.
        """
        await self._open_supervisor(even_failed=True).renewal.reload()

    def resize(self, size: int, overflow: int | None = None) -> None:
        """Let `size` workers serve from here on, and `overflow` above it (None: as before).

        Returns at once. Workers that are missing start when they are needed;
        those that are too many finish their calls and go, idle ones first.
        Raises `ValueError` for a size below `min_ready`, and what `checkout` raises.
        """
        supervisor = self._open_supervisor()
        limits = supervisor.ledger.limits
        extra = limits.overflow if overflow is None else overflow
        replace(self._config, size=size, overflow=extra)  # refuses what cannot be
        supervisor.resize(size, extra)

    # Listening

    def listen(self, listener: Listener, kinds: Iterable[type[Event]] = RARE) -> Callable[[], None]:
        """Have `listener` told of all events of these kinds from now on.

        It is called on the pool's event loop with some events at a time, in their
        order and between the pool's own steps, at most 50 ms after they happened; it
        should be quick. Before the pool is opened it hears all from the beginning.
        Nothing is spent on kinds that nobody listens to; those in
        `pool.telemetry.events.FREQUENT` come with each call. If it raises, that is logged
        and it is told nothing more. Returns a function that ends its listening.
        """
        self._hub.listen(listener, kinds)
        return partial(self._hub.leave, listener)

    def trace(self, tracer: Tracer | None) -> None:
        """Have `tracer` make a span of each call, and of each wait for a worker, from now on.

        What it says of a call's trace reaches the command, as `bridge.trace_context()`.
        None ends it; without a tracer nothing is spent on any of this. See
        `pool.telemetry.opentelemetry` for one.
        """
        self._tracer = tracer
        if self._supervisor is not None:
            self._supervisor.trace(tracer)

    def on_loop(self, look: Callable[[], T], timeout: float = 5.0) -> T:
        """Call `look` between the pool's own steps, from any thread, and return its result.

        Listeners are told first of all that has happened. Raises `TimeoutError` if the
        event loop, running in another thread, does not come to it in `timeout` seconds,
        and `PoolClosed` in another process than the pool's.
        """
        supervisor = self._supervisor
        if supervisor is not None and supervisor.forks != fork_count():
            raise PoolClosed(f"{self.name}: the pool was opened in another process")

        def up_to_date() -> T:
            self._hub.flush()
            return look()

        return run_on(None if supervisor is None else supervisor.loop, up_to_date, timeout)

    def why_not_ready(self) -> str | None:
        """Why no work should be sent here now; None if the pool is ready for it.

        It is if it is open, not in a crash loop, and at least `min_ready` workers have
        answered and can be lent. A pool without `min_ready` is ready while its
        environment is not known to be unfit: without work it would start nothing.
        """
        supervisor = self._supervisor
        if supervisor is None:
            return f"{self.name}: the pool is not open"
        supervisor.try_to_mend()
        return why_not_ready(supervisor.ledger, supervisor.renewal.problems, supervisor.now())

    def serve_telemetry(
        self, host: str = "127.0.0.1", port: int = 0, *, commands: int | Collection[str] = 50
    ) -> AbstractAsyncContextManager[TelemetryServer]:
        """Answer `/metrics`, `/livez`, `/readyz` and `/stats` by HTTP while the block runs.

        ::

            async with pool.serve_telemetry(port=9187) as server:
                print(server.url)

        Port 0 is any free one. Metrics have the names of these `commands`, or of so many
        that were called first, and "other" for the rest. It may be entered before the
        pool is open and left after it is closed. Needs the extra `telemetry`; raises
        `ImportError` without it, and `OSError` if it cannot listen there.
        """
        try:
            from pool.telemetry.http import serve
        except ImportError as error:
            extra = "pip install 'bridgepool[telemetry]'"
            raise ImportError(f"telemetry needs more packages: {extra} ({error})") from error
        return serve(self, host, port, commands)

    def profile(
        self,
        *,
        interval: float = 0.25,
        keep: int = 100,
        thresholds: Thresholds | None = None,
    ) -> Profiler:
        """Profile the block of a `with`: what calls, starts and workers take, and why.

        ::

            with pool.profile() as profile:
                ...
            report = profile.report()

        A snapshot of the system is taken every `interval` seconds, less often where that
        would take over 1.5 % of the time; `keep` of the last calls and as many of the
        slowest are kept one by one. Entered before the pool is opened, it sees the
        first starts. Nothing is spent outside of the block. Needs the extra "profile":
        raises `ImportError` without it.
        """
        # Here, because not everybody has what it needs.
        from pool.profile.profiler import Profiler

        return Profiler(
            self, self._hub, self._codec, interval=interval, keep=keep, thresholds=thresholds
        )

    # Closing

    async def drain(self) -> None:
        """Refuse new work, finish what waits and runs however long it takes, then close."""
        await self._end(Supervisor.drain)

    async def aclose(self) -> None:
        """Refuse new work, let running calls finish within `grace_period`, then close.

        Whoever waits for a worker gets `PoolClosed` at once. From any task,
        any number of times; cancelled, it becomes `terminate`.
        """
        await self._end(Supervisor.close)

    async def terminate(self) -> None:
        """Kill every worker and close, at once. Running calls get `BrokenWorkerError`."""
        await self._end(Supervisor.terminate)

    async def _end(self, how: Callable[[Supervisor], None]) -> None:
        """Begin to close in this way, if that is still to be done, and wait until all is over."""
        supervisor, task = self._supervisor, self._task
        if supervisor is None or task is None or supervisor.forks != fork_count():
            return
        if not supervisor.is_closed:
            how(supervisor)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise
            if not supervisor.is_closed:
                supervisor.terminate()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
            raise

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.aclose()
            return
        with anyio.CancelScope(shield=True):
            await self.terminate()


def _check_platform() -> None:
    if not sys.platform.startswith("linux"):
        raise NotImplementedError(f"bridgepool needs Linux (pidfd, /proc); this is {sys.platform}")

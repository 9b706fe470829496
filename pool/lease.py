"""What a checkout lends: a worker, until the end of the block."""

from __future__ import annotations

import asyncio
from typing import Any

from bridge.messages import Reply
from pool.acquire import acquire
from pool.calls import Prepared, prepare, result_of
from pool.conversation import Call
from pool.errors import CallTimeout, LeaseClosed, PoolError, ProtocolError, WorkerError
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import UNSET, Timeout, deadline, seconds


async def run_on(
    supervisor: Supervisor,
    slot: Slot,
    prepared: Prepared,
    until: float | None,
    allowed: float | None,
) -> Reply:
    """Send one call on a lent slot and wait for its reply, counted by its outcome."""
    call = slot.worker.send(slot, prepared)
    return await finish(supervisor, slot, call, until, allowed)


async def finish(
    supervisor: Supervisor, slot: Slot, call: Call, until: float | None, allowed: float | None
) -> Reply:
    """Wait for the reply of a call that was sent."""
    outcome = "cancelled"
    try:
        reply = await slot.worker.finish(call, until, allowed)
        outcome = "ok" if reply.success else "error"
        return reply
    except PoolError as error:
        outcome = _outcome(error)
        raise
    finally:
        supervisor.counters.calls[outcome] += 1


def _outcome(error: PoolError) -> str:
    if isinstance(error, CallTimeout):
        return "timeout"
    if isinstance(error, ProtocolError):
        return "protocol"
    return "worker_lost" if isinstance(error, WorkerError) else "cancelled"


class Lease:
    """A worker that is yours until the block ends.

    Calls made at the same time on one lease run one after another, in the
    order they were made. When a call on it timed out or was cancelled, and
    after its block, the lease is over and using it raises `LeaseClosed`.
    """

    def __init__(self, supervisor: Supervisor, slot: Slot) -> None:
        self._supervisor = supervisor
        self._slot = slot
        self._turn = asyncio.Lock()
        self._running: Call | None = None
        self._over = ""

    def __repr__(self) -> str:
        return f"<Lease of {self.name}{' (over)' if self._over else ''}>"

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._slot.worker.name

    @property
    def pid(self) -> int | None:
        """The worker's process."""
        return self._slot.worker.pid

    async def call(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Any:
        """Run a command and return its result as `result_type`, any type that msgspec knows.

        `args` is a mapping, struct or dataclass of arguments. `timeout` is in
        seconds, from now. Raises `RequestError`, `CallTimeout`, `RemoteError`,
        `ResultTypeError`, a `WorkerError`, or `LeaseClosed`.
        """
        self._check()
        config = self._supervisor.config
        allowed = seconds(timeout, config.call_timeout)
        until = deadline(asyncio.get_running_loop().time(), allowed)
        prepared = prepare(command, args, session, config.max_frame_bytes)
        async with _Turn(self._turn, until, command):
            self._check()
            reply = await self._run(prepared, until, allowed)
        return result_of(reply, command, result_type)

    async def _run(self, prepared: Prepared, until: float | None, allowed: float | None) -> Reply:
        worker = self._slot.worker
        if not self._slot.usable:
            raise worker.lost_before(prepared.command)
        self._running = worker.send(self._slot, prepared)
        try:
            return await finish(self._supervisor, self._slot, self._running, until, allowed)
        finally:
            if self._running.given_up and not self._over:
                self._over = "a call on it timed out or was cancelled"
            self._running = None

    def end(self) -> None:
        """The block is over: a call still running fails at once, and the slot goes back."""
        self._over = self._over or "its block has ended"
        if self._running is not None:
            self._slot.worker.end_call(self._running)
        self._supervisor.give_back(self._slot)

    def _check(self) -> None:
        if self._over:
            raise LeaseClosed(f"the lease of {self.name} is over: {self._over}")


class _Turn:
    """The lock that keeps a lease's calls in order, waited for no longer than the deadline."""

    def __init__(self, lock: asyncio.Lock, until: float | None, command: str) -> None:
        self._lock = lock
        self._until = until
        self._command = command

    async def __aenter__(self) -> None:
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout_at(self._until):
                await self._lock.acquire()
        except TimeoutError:
            raise CallTimeout(
                f"{self._command!r} was not sent: an earlier call on the same lease still runs"
            ) from None

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


class Checkout:
    """`async with pool.checkout() as worker`."""

    def __init__(self, supervisor: Supervisor, timeout: float | None) -> None:
        self._supervisor = supervisor
        self._timeout = timeout
        self._lease: Lease | None = None

    async def __aenter__(self) -> Lease:
        until = deadline(asyncio.get_running_loop().time(), self._timeout)
        slot = await acquire(self._supervisor, until, self._timeout)
        self._lease = Lease(self._supervisor, slot)
        return self._lease

    async def __aexit__(self, *_: object) -> None:
        assert self._lease is not None
        self._lease.end()

"""What a checkout lends: a worker, until the end of the block."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from bridge.messages import Reply
from pool.acquire import acquire
from pool.calls import Prepared, prepare, result_of
from pool.clock import Alarm, Clock
from pool.conversation import Call
from pool.dispatch import finish, send
from pool.errors import CallTimeout, LeaseClosed
from pool.guard import guarding
from pool.leaks import Stack, take_stack, watch
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import UNSET, Deadline, Timeout, seconds
from pool.worker import Worker


class Lease:
    """A worker that is yours until the block ends.

    Calls made at the same time on one lease run one after another, in the
    order they were made. When a call on it timed out or was cancelled, and
    after its block, the lease is over and using it raises `LeaseClosed`.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        slot: Slot[Worker],
        leak_alarm: Alarm | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._slot = slot
        self._leak_alarm = leak_alarm
        self._turns = _Turns(supervisor.clock)
        self._running: Call | None = None
        self._over = ""
        self._owns_slot = True

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
        `ResultTypeError`, a `WorkerError`, `LeaseClosed`, or, with a `breaker`,
        `CircuitOpen`.
        """
        self._check()
        config = self._supervisor.config
        allowed = seconds(timeout, config.call_timeout)
        deadline = Deadline.after(self._supervisor.now(), allowed)
        with guarding(self._supervisor.guard, command):
            prepared = prepare(command, args, session, config.max_frame_bytes)
            await self._turns.take(deadline, command)
            try:
                self._check()
                reply = await self._run(prepared, deadline)
            finally:
                self._turns.release()
            return result_of(reply, command, result_type, self._supervisor.secrets)

    async def _run(self, prepared: Prepared, deadline: Deadline) -> Reply:
        call = self._running = send(self._supervisor, self._slot, prepared, deadline)
        try:
            return await finish(self._supervisor, self._slot, call, deadline)
        finally:
            self._running = None
            if call.given_up:
                self._lose_slot("a call on it timed out or was cancelled")

    def end(self) -> None:
        """The block is over: a call still running fails at once, else the slot goes back."""
        why = "its block has ended"
        if self._running is not None:
            self._slot.worker.end_call(self._running)
            self._lose_slot(why)
        elif self._owns_slot:
            self._supervisor.give_back(self._slot)
            self._lose_slot(why)

    def _lose_slot(self, why: str) -> None:
        """From here on the slot is not this lease's: it may be lent to somebody else."""
        self._owns_slot = False
        self._over = self._over or why
        if self._leak_alarm is not None:
            self._leak_alarm.cancel()

    def _check(self) -> None:
        if self._over:
            raise LeaseClosed(f"the lease of {self.name} is over: {self._over}")


class _Turns:
    """Lets a lease's calls through one at a time, in their order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, deadline: Deadline, command: str) -> None:
        """Wait for the turn, no longer than the deadline; `release` ends it."""
        if not self._is_taken:
            self._is_taken = True
        elif not await self._comes_by(deadline):
            text = f"{command!r} was not sent: an earlier call on the same lease still runs"
            raise CallTimeout(text, request_sent=False)

    async def _comes_by(self, deadline: Deadline) -> bool:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        has_come = False
        try:
            with self._clock.move_on_at(deadline.at):
                await turn
                has_come = True
        finally:
            if not has_come:
                self._leave(turn)
        return has_come

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Stop waiting; a turn that came in the same moment is the next one's."""
        if not turn.cancelled():
            self.release()

    def release(self) -> None:
        """The turn goes to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited is about to leave
                turn.set_result(None)
                return
        self._is_taken = False


class Checkout:
    """`async with pool.checkout() as worker`."""

    def __init__(self, supervisor: Supervisor, timeout: float | None) -> None:
        self._supervisor = supervisor
        self._timeout = timeout
        self._lease: Lease | None = None
        self._taken_by: Stack | None = None

    def note_caller(self) -> None:
        """Remember who takes the lease, on this thread, in case it is held too long."""
        if self._supervisor.config.leak_threshold is not None:
            self._taken_by = take_stack()

    async def __aenter__(self) -> Lease:
        if self._lease is not None:
            raise RuntimeError("a checkout is entered once; call `pool.checkout()` for each")
        deadline = Deadline.after(self._supervisor.now(), self._timeout)
        if self._taken_by is None:
            self.note_caller()
        slot = await acquire(self._supervisor, deadline)
        alarm = None
        if self._taken_by is not None:
            alarm = watch(self._supervisor, slot.worker.name, self._taken_by)
        self._lease = Lease(self._supervisor, slot, alarm)
        return self._lease

    async def __aexit__(self, *_: object) -> None:
        assert self._lease is not None
        self._lease.end()

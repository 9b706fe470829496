"""A result that comes item by item: `async with pool.stream(...) as items`."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any, Protocol

from msgspec import Raw, structs

from pool.dataset.batch import Failed
from pool.dispatch import acquire_for, send
from pool.errors import PoolError, ResultTypeError
from pool.exchange.calls import Prepared, prepare
from pool.exchange.feed import WINDOW, Feed
from pool.exchange.results import item_of, result_of
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.telemetry.tracing import Traced
from pool.timeouts import Deadline
from pool.worker.worker import Worker


class Seat(Protocol):
    """What a stream runs on, taken by `begin` and given back by `end`."""

    async def begin(self, prepared: Prepared, deadline: Deadline) -> tuple[Slot[Worker], Feed]:
        """Take a slot and send the call. Nothing is taken if it raises."""
        ...

    def end(self, feed: Feed) -> None:
        """The call is answered, or given up."""
        ...


class Items:
    """The items of one stream, each as soon as it is there; read by one task.

    `result` is what the command returned after the last one, `{"items": n}`
    for those made with `bridge.Bridge`.
    """

    result: Any = None

    def __init__(
        self,
        supervisor: Supervisor,
        worker: Worker,
        feed: Feed,
        left: float | None,
        allowed: float | None,
        result_type: Any,
    ) -> None:
        self._secrets = supervisor.secrets
        self._exchange = worker.calls
        self._feed = feed
        # Seconds: of the wait for a worker some are left for that for the first item.
        self._patience = left
        self._allowed = allowed
        self._type = result_type
        self._taken = 0
        self.ended_with: BaseException | None = asyncio.CancelledError("left early")

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> Any:
        """Return the next item.

        Raises, after the items that came before, what a call raises: `RemoteError`
        if the command did, `CallTimeout` if nothing came for so long, a `WorkerError`;
        for an item of another type `ResultTypeError`, and the stream goes on.
        """
        feed = self._feed
        if not feed.items and not await self._more():
            raise StopAsyncIteration
        data = feed.items.popleft()
        self._taken += 1
        self._grant()
        return item_of(data, feed.prepared.command, self._type, self._secrets)

    async def take(self) -> list[Any]:
        """Wait for items, and return those that are there; an empty list after the last.

        Half a window at most; they count as read when the next are asked for.
        `Failed` stands for an item of another type. What has ended the stream is
        raised as when items are read.
        """
        self._grant()
        ready = self._feed.items
        if not ready and not await self._more():
            return []
        count = min(len(ready), WINDOW // 2)
        self._taken += count
        return [self._outcome(ready.popleft()) for _ in range(count)]

    def _outcome(self, data: Raw) -> Any:
        try:
            return item_of(data, self._feed.prepared.command, self._type, self._secrets)
        except ResultTypeError as error:
            return Failed(error)

    def _grant(self) -> None:
        """Let more come, once half of a window was read."""
        if self._taken * 2 >= WINDOW:
            self._exchange.took(self._feed, self._taken)
            self._taken = 0

    async def _more(self) -> bool:
        """Wait for an item; False if there will be none, because the command has returned."""
        if not self._feed.is_done:
            await self._wait()
        if not self._feed.items:
            self._finish()
            return False
        return True

    async def _wait(self) -> None:
        """Wait for more. Only this counts against the timeout, not what the reader does."""
        self._exchange.expect(self._feed, self._patience)
        try:
            await self._feed.more()
        finally:
            self._exchange.expect(self._feed, None)
        self._patience = self._allowed

    def _finish(self) -> None:
        try:
            reply = self._feed.result()
            self.result = result_of(reply, self._feed.prepared.command, Any, self._secrets)
        except PoolError as error:
            self.ended_with = error
            raise
        self.ended_with = None


class Stream:
    """`async with` runs the command; leaving the block early ends it and frees the slot."""

    _items: Items | None = None
    _slot: Slot[Worker]
    _feed: Feed
    _guard: AbstractContextManager[Traced | None]

    def __init__(
        self,
        supervisor: Supervisor,
        seat: Seat,
        command: str,
        args: object,
        session: str | None,
        allowed: float | None,
        result_type: Any,
    ) -> None:
        self._supervisor = supervisor
        self._seat = seat
        self._given = (command, args, session)
        self._allowed = allowed
        self._type = result_type

    async def __aenter__(self) -> Items:
        if self._items is not None:
            raise RuntimeError("a stream is entered once; call `stream` for each")
        supervisor = self._supervisor
        self._guard = supervisor.guarding(self._given[0])
        traced = self._guard.__enter__()
        try:
            deadline = Deadline.after(supervisor.clock.now(), self._allowed)
            prepared = prepare(*self._given, supervisor.config.max_frame_bytes, traced)
            self._slot, self._feed = await self._seat.begin(prepared, deadline)
        except BaseException as error:
            self._leave_guard(error)
            raise
        worker, left = self._slot.worker, deadline.left(supervisor.clock.now())
        # From here on only the reader's waiting counts.
        worker.calls.expect(self._feed, None)
        self._items = Items(supervisor, worker, self._feed, left, self._allowed, self._type)
        return self._items

    async def __aexit__(self, *_: object) -> None:
        assert self._items is not None
        self._slot.worker.calls.leave(self._feed)
        self._seat.end(self._feed)
        # What the block itself raises says nothing about the command.
        self._leave_guard(self._items.ended_with)

    def _leave_guard(self, error: BaseException | None) -> None:
        if error is None:
            self._guard.__exit__(None, None, None)
        else:
            self._guard.__exit__(type(error), error, error.__traceback__)


def send_stream(
    supervisor: Supervisor, slot: Slot[Worker], prepared: Prepared, deadline: Deadline, now: float
) -> Feed:
    """Send the call of a stream, as `send` does; with credit where the worker knows of that."""
    if slot.worker.calls.grants_credit:
        prepared = structs.replace(prepared, credit=WINDOW)
    return send(supervisor, slot, prepared, deadline, now, Feed)


class PoolSeat:
    """Any worker of the pool."""

    _slot: Slot[Worker] | None = None

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def begin(self, prepared: Prepared, deadline: Deadline) -> tuple[Slot[Worker], Feed]:
        """Wait for a slot and send the call on it."""
        supervisor = self._supervisor
        slot = await acquire_for(supervisor, prepared, deadline)
        try:
            feed = send_stream(supervisor, slot, prepared, deadline, supervisor.clock.now())
            feed.waited = slot.waited
        except BaseException:
            supervisor.end_checkout(slot)
            raise
        self._slot = slot
        return slot, feed

    def end(self, feed: Feed) -> None:
        """Give the slot back, unless it belongs to its worker now."""
        if self._slot is not None and not feed.given_up:
            self._supervisor.end_checkout(self._slot)

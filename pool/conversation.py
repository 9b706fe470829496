"""Requests and replies with one child: ids given out, replies matched by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from bridge.frames import FrameTooLarge, encode
from bridge.messages import HANDSHAKE_ID, Reply
from bridge.messages.secrets import Secrets
from pool.calls import Prepared, decode_reply, encode_request
from pool.clock import Alarm
from pool.errors import RequestError
from pool.launch import Link
from pool.quotes import quote
from pool.sessions import NO_NEWS, News
from pool.slots import Slot

MAX_STRAYS = 1_000
"""Second answers that may come between two proper ones; a worker that sends more is killed."""


class Call(Struct, eq=False):
    """A request that was sent, and its reply to come.

    `reply` is done once, by the reply or by an error. `sent_at` is the instant
    at which a caller's request was written. `watch` is the alarm
    that looks after a call for which no caller waits (any more).
    """

    id: int
    prepared: Prepared
    slot: Slot[Any] | None
    reply: asyncio.Future[Reply]
    sent_at: float = 0.0
    watch: Alarm | None = None
    given_up: bool = False
    ends_at: int = 0


class Conversation:
    """All calls on one link. Frames that make no sense go to `on_nonsense`, in words."""

    def __init__(
        self,
        link: Link,
        max_frame_bytes: int,
        secrets: Secrets,
        on_reply: Callable[[Call, Reply], None],
        on_stray: Callable[[], None],
        on_nonsense: Callable[[str], None],
    ) -> None:
        self._link = link
        self._max_frame_bytes = max_frame_bytes
        self._secrets = secrets
        self._on_reply = on_reply
        self._on_stray = on_stray
        self._on_nonsense = on_nonsense
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, Call] = {}
        self._next_id = HANDSHAKE_ID
        self._strays = 0

    @property
    def unanswered(self) -> int:
        return len(self._calls)

    def send(self, prepared: Prepared, slot: Slot[Any] | None, news: News = NO_NEWS) -> Call:
        """Write a request; raise `RequestError`, and write nothing, if it is too large."""
        payload = encode_request(self._next_id, prepared, news)
        self._secrets.learn_arguments(payload)
        try:
            frame = encode(payload, self._max_frame_bytes)
        except FrameTooLarge as error:
            raise RequestError(f"{prepared.command}: the request is a {error}") from None
        call = Call(self._next_id, prepared, slot, self._loop.create_future())
        self._next_id += 1
        self._calls[call.id] = call
        self._link.write(frame)
        call.ends_at = self._link.queued
        return call

    def was_sent(self, call: Call) -> bool:
        """Whether the request has left whole: only then can the child have run it."""
        return self._link.sent >= call.ends_at

    def waited_for(self) -> list[str]:
        """The commands for whose replies somebody waits."""
        calls = (call for call in self._calls.values() if call.slot and not call.reply.done())
        return [call.prepared.command for call in calls]

    def is_pending(self, call: Call) -> bool:
        return call.id in self._calls

    def receive(self, payload: bytes) -> None:
        """Take a frame of the child's."""
        try:
            reply = decode_reply(payload)
        except ValueError as error:
            quoted = quote(self._secrets, payload)
            self._on_nonsense(f"it sent a frame that is no reply ({error}): {quoted}")
            return
        call = self._calls.get(reply.id) if reply.id is not None else None
        if call is None:
            self._unmatched(reply, payload)
        elif reply.event is None:
            self._settle(call, reply)

    def _settle(self, call: Call, reply: Reply) -> None:
        self._strays = 0
        del self._calls[call.id]
        if call.watch is not None:
            call.watch.cancel()
        self._on_reply(call, reply)
        if not call.reply.done():
            call.reply.set_result(reply)

    def _unmatched(self, reply: Reply, payload: bytes) -> None:
        """A second answer is dropped; an answer to what was never asked is nonsense."""
        self._strays += 1
        if self._strays > MAX_STRAYS:
            self._on_nonsense(f"it answered {MAX_STRAYS} times in a row what was answered before")
        elif reply.id is not None and 0 <= reply.id < self._next_id:
            self._on_stray()
        else:
            quoted = quote(self._secrets, payload)
            self._on_nonsense(f"it answered a call that was never made: {quoted}")

    def fail_all(self, make_error: Callable[[Call], Exception]) -> None:
        """End every call without a reply, each with an error of its own."""
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            if call.watch is not None:
                call.watch.cancel()
            if not call.reply.done():
                call.reply.set_exception(make_error(call))
                # Nobody may be waiting: a ping, a handshake that was cut short.
                call.reply.exception()

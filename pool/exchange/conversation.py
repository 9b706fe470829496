"""Requests and replies with one child: ids given out, replies matched by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from bridge.frames import FrameTooLarge, encode
from bridge.messages import HANDSHAKE_ID, NULL, Reply
from bridge.messages.secrets import Secrets
from pool.clock import Alarm, Clock
from pool.errors import RequestError
from pool.exchange.calls import Prepared, request_frame
from pool.exchange.inflight import NEVER, Call
from pool.exchange.large import Memory, outgoing
from pool.exchange.requests import TRIMMING, release
from pool.exchange.results import decode_reply
from pool.exchange.thrift import Thrift
from pool.launch import Link
from pool.quotes import quote
from pool.sessions import NO_NEWS, News
from pool.slots import Slot

C = TypeVar("C", bound=Call)

MAX_STRAYS = 1_000
"""Second answers that may come between two proper ones; a worker that sends more is killed."""


class Partner(Protocol):
    """Who is told what comes of it, within the step in which that happens."""

    def answered(self, call: Call, reply: Reply) -> None:
        """The call has its reply; whoever awaits it has not been woken yet."""
        ...

    def given_up(self, call: Call) -> None:
        """The caller has been cancelled."""
        ...

    def flooded(self, call: Call) -> None:
        """More items have come ahead of the reply than there is room for."""
        ...

    def overdue(self, call: Call) -> None:
        """The call is unanswered at the instant it was watched for."""
        ...

    def stray(self) -> None:
        """A second answer came to a call, and was dropped."""
        ...

    def nonsense(self, what: str) -> None:
        """The child sent what makes no sense; `what` says it in words."""
        ...


class Conversation:
    """All calls on one link, the unanswered ones with one alarm for all of them."""

    def __init__(
        self,
        link: Link,
        max_frame_bytes: int,
        secrets: Secrets,
        clock: Clock,
        partner: Partner,
        memory: Memory | None = None,
    ) -> None:
        self._link = link
        self._memory = memory
        self._thrift = Thrift(clock, self._trim)
        self._max_frame_bytes = max_frame_bytes
        self._secrets = secrets
        self._clock = clock
        self._partner = partner
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, Call] = {}
        self._next_id = HANDSHAKE_ID
        self._strays = 0
        self._look_at = NEVER
        self._alarm: Alarm | None = None

    @property
    def unanswered(self) -> int:
        return len(self._calls)

    # Requests

    def send(
        self,
        prepared: Prepared,
        slot: Slot[Any] | None = None,
        news: News = NO_NEWS,
        make: Callable[..., C] = Call,  # type: ignore[assignment]
    ) -> C:
        """Write a request; raise `RequestError`, and write nothing, if it is too large."""
        number = self._next_id
        self._secrets.learn_arguments(prepared.args)
        rest, memory = prepared, NULL
        if prepared.large:
            rest, memory = outgoing(self._memory, number, prepared)
            self._thrift.used()
        try:
            frame = request_frame(number, rest, news, self._max_frame_bytes, memory)
        except FrameTooLarge as error:
            self._forget_arguments(number, prepared)
            raise RequestError(f"{prepared.command}: the request is a {error}") from None
        call = make(number, prepared, slot, self._loop, self._partner.given_up)
        self._next_id = number + 1
        # A child that is busy is in no hurry: it reads more at once.
        write = self._link.write_soon if self._calls else self._link.write
        self._calls[number] = call
        for piece in frame:
            write(piece)
        call.ends_at = self._link.queued
        return call

    def _forget_arguments(self, number: int, prepared: Prepared) -> None:
        if prepared.large and self._memory is not None:
            self._memory.answered(number)

    def tell(self, payload: bytes) -> None:
        """Write what has no reply."""
        self._link.write(encode(payload))

    def was_sent(self, call: Call) -> bool:
        """Whether the request has left whole: only then can the child have run it."""
        return self._link.sent >= call.ends_at

    def waited_for(self) -> list[str]:
        """The commands for whose replies somebody waits."""
        return [call.prepared.command for call in self._calls.values() if call.is_waited_for]

    def pause_reading(self) -> None:
        """Have the child wait before it can say more."""
        self._link.pause_reading()

    def resume_reading(self) -> None:
        """Let it say more, if it has to wait."""
        self._link.resume_reading()

    def is_pending(self, call: Call) -> bool:
        return call.id in self._calls

    # Deadlines

    def watch(self, call: Call, until: float) -> None:
        """Tell the partner if the call is unanswered at the instant `until`."""
        call.until = until
        if until < self._look_at:
            self._look_again(until)

    def _look_again(self, at: float) -> None:
        # Rarely: mostly the alarm is set already, for an earlier call.
        if self._alarm is not None:
            self._alarm.cancel()
        self._look_at = at
        self._alarm = self._clock.call_at(at, self._look)

    def _look(self) -> None:
        now, self._look_at, self._alarm = self._clock.now(), NEVER, None
        for call in [call for call in self._calls.values() if call.until <= now]:
            call.until = NEVER
            self._partner.overdue(call)
        first = min((call.until for call in self._calls.values()), default=NEVER)
        if first < self._look_at:
            self._look_again(first)

    # Replies

    def receive(self, payload: bytes) -> None:
        """Take a frame of the child's."""
        try:
            reply = decode_reply(payload)
        except ValueError as error:
            quoted = quote(self._secrets, payload)
            self._partner.nonsense(f"it sent a frame that is no reply ({error}): {quoted}")
            return
        if reply.success is None:
            self._take_item(reply, payload)
            return
        call = self._calls.pop(reply.id, None)  # type: ignore[arg-type]
        if call is None:
            self._unmatched(reply, payload)
            return
        if reply.memory is not NULL or call.prepared.large:
            try:
                reply = self._with_values(call, reply)
            except ValueError as error:
                self._calls[call.id] = call
                self._partner.nonsense(f"it told of a result that cannot be there: {error}")
                return
        self._strays = 0
        call.response_bytes = len(payload)
        self._partner.answered(call, reply)
        if not call.is_done:
            call.resume(reply)

    def _with_values(self, call: Call, reply: Reply) -> Reply:
        """Read what the reply has in memory, where somebody waits for it; give all of it back."""
        self._forget_arguments(call.id, call.prepared)
        self._thrift.used()  # whatever was trimmed while it ran, its arguments were not
        if self._memory is None or reply.memory is NULL:
            return reply
        if reply.success and not call.is_done:
            reply = self._memory.read(reply)
        self.tell(release(call.id))
        return reply

    def _trim(self) -> None:
        if self._memory is not None:
            self._memory.trim()
            self.tell(TRIMMING)

    def _take_item(self, reply: Reply, payload: bytes) -> None:
        call = self._calls.get(reply.id)  # type: ignore[arg-type]
        if call is None:
            self._unmatched(reply, payload)
        elif not call.is_done and not call.take(reply):
            self._partner.flooded(call)

    def _unmatched(self, reply: Reply, payload: bytes) -> None:
        """A second answer is dropped; an answer to what was never asked is nonsense."""
        self._strays += 1
        if self._strays > MAX_STRAYS:
            what = f"it answered {MAX_STRAYS} times in a row what was answered before"
            self._partner.nonsense(what)
        elif reply.id is not None and 0 <= reply.id < self._next_id:
            self._partner.stray()
        else:
            quoted = quote(self._secrets, payload)
            self._partner.nonsense(f"it answered a call that was never made: {quoted}")

    # The end

    def close(self) -> list[Call]:
        """No reply will come any more; return the calls that have none."""
        self._thrift.close()
        if self._alarm is not None:
            self._alarm.cancel()
        calls, self._calls = list(self._calls.values()), {}
        return calls

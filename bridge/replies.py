"""Replies on their way out: counted, and in short where they are too long for a frame."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import Raw, Struct

from bridge.call import Call
from bridge.context import CallContext
from bridge.memory import Memory
from bridge.messages import Failure, Item, Success, failure, success, success_parts, to_json
from bridge.messages.batch import BatchReply
from bridge.messages.memory.large import Large
from bridge.phases import phases_of
from bridge.registry import Tally
from bridge.sender import ResultTooLarge, Sender

SHORT = 100
"""Characters of an error that fit into the smallest frame that may be set."""


class Replies:
    """What a bridge answers. `sender` may be replaced by one that is shared among threads."""

    def __init__(self, sender: Sender, tally: Tally, memory: Memory | None = None) -> None:
        self.sender = sender
        self._memory = memory
        self._tally = tally

    def send(self, message: Struct) -> None:
        """Send a message whole, or raise `ResultTooLarge` and send nothing."""
        self.sender.send(message)

    def succeed(self, call: Call, result: Any) -> None:
        """Answer with what the command returned; tell what it took, defined and forgot.

        Raises what `to_json` raises, or `ResultTooLarge`, and sends nothing.
        """
        if call.base is not None and isinstance(result, dict):
            result = {**call.base, **result}
        told = call.context
        large = () if self._memory is None else self._memory.large_in(result)
        if not (large or told.define or told.forget or told.forget_all or told.phases):
            self.sender.send_parts(*success_parts(call.id, result, told.compute or 0.0))
        else:
            self._succeed(call.id, result, large, told)

    def _succeed(
        self, call_id: int, result: Any, large: tuple[Large, ...], told: CallContext
    ) -> None:
        make = partial(self._memory.success, large) if self._memory and large else success
        reply = make(
            call_id,
            result,
            define=told.define,
            forget=told.forget,
            forget_all=told.forget_all,
            compute=told.compute,
            phases=phases_of(told),
        )
        try:
            self.send_timed(reply)
        except ResultTooLarge:
            if self._memory is not None:
                self._memory.release(call_id)
            raise

    def send_timed(self, reply: Success | BatchReply) -> None:
        """Send a reply, rather without its phases than not at all."""
        try:
            self.sender.send(reply)
        except ResultTooLarge:
            if reply.phases is None:
                raise
            reply.phases = None
            self.sender.send(reply)

    def item(self, call: Call, item: object) -> None:
        """Send one item of a stream."""
        self.sender.send(Item(call.id, "item", Raw(to_json(item))))

    def fail(self, reply: Failure) -> None:
        """Report a failure."""
        self._tally.count_errors(1)
        try:
            self.sender.send(reply)
        except ResultTooLarge:
            self.sender.send(shortened(reply))

    def count_errors(self, number: int) -> None:
        """Count failures that are reported together."""
        self._tally.count_errors(number)


def shortened(reply: Failure) -> Failure:
    """What is said where the full story is too long."""
    return failure(reply.id, reply.error[:SHORT], reply.error_type)

"""Many calls of one command, run one after the other, and told together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import monotonic
from typing import Any

from msgspec import Raw

from bridge.arguments import ArgumentError
from bridge.call import Call
from bridge.messages import Failure, args_object, failure, to_json
from bridge.messages.batch import BatchReply, CallFailure, Results
from bridge.phases import phases_of
from bridge.replies import Replies, shortened
from bridge.report import report
from bridge.requests import session_of
from bridge.sender import ResultTooLarge
from bridge.streams import TURN
from bridge.untold import Untold
from bridge.watch import Watch

EVENT_INTERVAL = 0.1
"""Seconds after which what is done is told, also if it is little."""

EVENT_BYTES = 256 * 1024
"""Bytes above which it is told at once."""


def run_batch(call: Call, batch: list[Raw], replies: Replies, watch: Watch) -> None:
    """Run the calls of a plain command, and answer; those that a cancellation leaves fail."""
    outcomes = Outcomes(call, replies, monotonic())
    for args in batch:
        if call.cancelled:
            break
        try:
            outcomes.succeed(_run(call, args))
        except (Exception, asyncio.CancelledError) as error:
            outcomes.fail(error)
        now = monotonic()
        outcomes.tell_if_due(now)
        watch.look(now)
    outcomes.end(len(batch))


async def run_async_batch(call: Call, batch: list[Raw], replies: Replies) -> None:
    """`run_batch` for an asynchronous command, whose call under way a cancellation interrupts."""
    outcomes = Outcomes(call, replies, monotonic())
    function = call.command.function
    turn_ends = monotonic() + TURN
    for args in batch:
        if call.cancelled:
            break
        try:
            outcomes.succeed(await _interruptible(call, function(**_begin(call, args))))
        except (Exception, asyncio.CancelledError) as error:
            outcomes.fail(error)
        now = monotonic()
        outcomes.tell_if_due(now)
        if now >= turn_ends:
            await asyncio.sleep(0)
            turn_ends = monotonic() + TURN
    outcomes.end(len(batch))


def refuse_batch(call: Call, batch: list[Raw], replies: Replies) -> None:
    """Fail every call of a command that streams."""
    text = f"{call.command.name} is a stream, which cannot be called in a batch"
    outcomes = Outcomes(call, replies, monotonic())
    outcomes.fail_the_rest(len(batch), failure(call.id, text, "RuntimeError"))
    outcomes.end(len(batch))


def _run(call: Call, args: Raw) -> object:
    """What the command returns."""
    result = call.command.function(**_begin(call, args))
    call.context.stop()
    return result


async def _interruptible(call: Call, coroutine: Any) -> object:
    """What it returns; nothing but this wait is interrupted when the batch is cancelled."""
    task = asyncio.current_task()
    assert task is not None
    call.interrupt = task.cancel
    try:
        return await coroutine
    finally:
        call.context.stop()
        call.interrupt = None
        if task.cancelling():
            # By whomever, the process's end for one: there is no point in the next call.
            call.cancelled = True


def _begin(call: Call, raw: Raw) -> dict[str, Any]:
    """The arguments of one call of a batch, which runs from here on."""
    try:
        args = args_object(raw)
    except ValueError as error:
        problems = [{"path": "args", "problem": str(error)}]
        raise ArgumentError(call.command.name, problems) from None
    call.context.session = session_of(args)
    arguments = call.command.arguments.decode(args)
    call.context.begin()
    return arguments


class Outcomes:
    """What the calls of a batch come to, told in events as it is due and the rest in the reply."""

    def __init__(self, call: Call, replies: Replies, now: float) -> None:
        self._call = call
        self._replies = replies
        self._untold = Untold(replies.sender.max_frame_bytes)
        self._event_due = now + EVENT_INTERVAL

    def succeed(self, result: object) -> None:
        """Note what the next call returned; raise, and note nothing, if that cannot be told."""
        encoded = to_json(result)
        if not (self._untold.succeed(encoded) or self._tell_and(self._untold.succeed, encoded)):
            raise ResultTooLarge(f"the result is too large to send: it takes {len(encoded)} bytes")

    def fail(self, error: BaseException) -> None:
        """Note what the next call raised."""
        self._call.context.stop()
        failed = report(self._call.id, error)
        self._replies.count_errors(1)
        self._fail(_encoded(failed), failed)

    def _fail(self, encoded: bytes, failed: Failure) -> None:
        add = self._untold.fail
        if not (add(encoded) or self._tell_and(add, encoded) or add(_encoded(shortened(failed)))):
            raise ResultTooLarge("a frame is too short to say how a call failed")

    def tell_if_due(self, now: float) -> None:
        """Send an event if there is much to tell, or something for long."""
        if now >= self._event_due or self._untold.size > EVENT_BYTES:
            self._tell()
            self._event_due = now + EVENT_INTERVAL

    def _tell(self) -> None:
        if self._untold.size:
            self._replies.send(Results(self._call.id, "results", *self._untold.take()))

    def _tell_and(self, add: Callable[[bytes], bool], encoded: bytes) -> bool:
        self._tell()
        return add(encoded)

    def fail_the_rest(self, count: int, failed: Failure) -> None:
        """Fail what has not been run of `count` calls, all alike."""
        encoded = _encoded(failed)
        self._replies.count_errors(count - self._untold.next)
        while self._untold.next < count:
            self._fail(encoded, failed)
            if self._untold.size > EVENT_BYTES:
                self._tell()

    def end(self, count: int) -> None:
        """Send the reply for `count` calls; those that were not run are cancelled."""
        if self._untold.next < count:
            cancelled = failure(self._call.id, "the batch was cancelled", "Cancelled")
            self.fail_the_rest(count, cancelled)
        told = self._call.context
        results, failures = self._untold.take()
        reply = BatchReply(
            self._call.id, True, results, failures, time.time(), told.compute, phases_of(told)
        )
        self._replies.send_timed(reply)


def _encoded(failed: Failure) -> bytes:
    told = CallFailure(failed.error, failed.error_type, failed.traceback, failed.details)
    return to_json(told)

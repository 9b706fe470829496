"""The items of a stream, sent as they come and as there is credit for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from functools import partial
from time import monotonic

from bridge.call import Call
from bridge.replies import Replies
from bridge.watch import LoopWatch, Watch

TURN = 0.001
"""Seconds that a stream or batch may keep the event loop, or not look at the wire."""


def send_items(items: Generator[object], call: Call, replies: Replies, watch: Watch) -> int:
    """Send what a generator yields and return how many there were; it is closed in any case.

    Raises `CancelledError` at the next item of a stream that is to end.
    """
    sent = 0
    with closing(items):
        for item in items:
            watch.look(monotonic())
            if not call.may_go_on(sent):
                watch.wait_until(partial(call.may_go_on, sent))
            call.check(sent)
            replies.item(call, item)
            sent += 1
    return sent


async def send_async_items(
    items: AsyncGenerator[object], call: Call, replies: Replies, watch: LoopWatch
) -> int:
    """`send_items` for an asynchronous generator, which may be interrupted between items too."""
    sent = 0
    turn_ends = monotonic() + TURN
    async with aclosing(items):
        async for item in items:
            if not call.may_go_on(sent):
                await watch.wait_until(partial(call.may_go_on, sent))
            call.check(sent)
            replies.item(call, item)
            sent += 1
            if monotonic() >= turn_ends:
                await asyncio.sleep(0)
                turn_ends = monotonic() + TURN
    return sent

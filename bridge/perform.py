"""One call of any kind: it is run, and it is answered."""

from __future__ import annotations

import asyncio

from bridge.batch import refuse_batch, run_async_batch, run_batch
from bridge.call import Call
from bridge.context import enter_call
from bridge.replies import Replies
from bridge.report import report
from bridge.streams import send_async_items, send_items
from bridge.watch import LoopWatch, Watch


def perform(call: Call, replies: Replies, watch: Watch) -> None:
    """Run a plain command or generator in the present context.

    Of what a command raises only that passes which is to end the process.
    """
    enter_call(call.context)
    try:
        if call.cancelled:
            raise asyncio.CancelledError
        if call.batch is not None:
            if call.command.is_stream:
                refuse_batch(call, call.batch, replies)
            else:
                run_batch(call, call.batch, replies, watch)
            return
        command = call.command
        result = command.function(**call.arguments())
        if command.is_stream:
            result = {"items": send_items(result, call, replies, watch)}
        replies.succeed(call, result)
    except (Exception, asyncio.CancelledError) as error:
        replies.fail(report(call.id, error))


async def perform_async(call: Call, replies: Replies, watch: LoopWatch) -> None:
    """`perform` for an asynchronous command or generator, in a task of its own."""
    enter_call(call.context)
    try:
        if call.cancelled:
            raise asyncio.CancelledError
        if call.batch is not None:
            if call.command.is_stream:
                refuse_batch(call, call.batch, replies)
            else:
                await run_async_batch(call, call.batch, replies)
            return
        task = asyncio.current_task()
        assert task is not None
        call.interrupt = task.cancel
        result = call.command.function(**call.arguments())
        if call.command.is_stream:
            result = {"items": await send_async_items(result, call, replies, watch)}
        else:
            result = await result
        replies.succeed(call, result)
    except (Exception, asyncio.CancelledError) as error:
        replies.fail(report(call.id, error))

"""One call of any kind: it is run, and it is answered."""

from __future__ import annotations

import asyncio

from bridge.batch import refuse_batch, run_async_batch, run_batch
from bridge.call import Call
from bridge.context import enter_call
from bridge.phases import phases_of
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
        result = command.function(**call.begin())
        if command.is_stream:
            result = {"items": send_items(result, call, replies, watch)}
        call.context.stop()
        replies.succeed(call, result)
    except (Exception, asyncio.CancelledError) as error:
        _fail(call, error, replies)


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
        result = call.command.function(**call.begin())
        if call.command.is_stream:
            result = {"items": await send_async_items(result, call, replies, watch)}
        else:
            result = await result
        call.context.stop()
        replies.succeed(call, result)
    except (Exception, asyncio.CancelledError) as error:
        _fail(call, error, replies)


def _fail(call: Call, error: BaseException, replies: Replies) -> None:
    """Answer with what the command raised, and how long it had run."""
    told = call.context
    told.stop()
    failed = report(call.id, error)
    failed.compute, failed.phases = told.compute, phases_of(told)
    replies.fail(failed)

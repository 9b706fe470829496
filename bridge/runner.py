"""Runs one command of any kind, with one call at a time."""

from __future__ import annotations

import asyncio
import contextvars
import select
from collections.abc import AsyncIterator, Iterator
from typing import Any

from msgspec import Raw

from bridge.context import CallContext, enter_call
from bridge.messages import Item, to_json
from bridge.registry import Command, Kind


class SerialRunner:
    """Plain commands on the main thread, asynchronous ones on one event loop.

    The loop is made for the first command that needs it and lives as long as
    the worker. It turns whenever no plain command runs, also between calls, so
    that tasks which a command left behind go on; it never turns around a plain
    command, which may use `asyncio.run` itself.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None

    def run(self, command: Command, arguments: dict[str, Any], call: CallContext) -> object:
        """Run to the end and return the result; the items of a stream are sent on the way."""
        context = contextvars.copy_context()
        context.run(enter_call, call)
        made = context.run(command.function, **arguments)
        match command.kind:
            case Kind.PLAIN:
                return made
            case Kind.ASYNC:
                return self.run_coroutine(made, context)
            case Kind.GENERATOR:
                return {"items": context.run(_send_items, made, call)}
            case Kind.ASYNC_GENERATOR:
                return {"items": self.run_coroutine(_send_async_items(made, call), context)}

    def run_coroutine(self, coroutine: Any, context: contextvars.Context | None = None) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(coroutine, context=context)

    def wait_readable(self, fds: tuple[int, ...]) -> None:
        """Return when one of `fds` can be read; the event loop, if any, turns meanwhile."""
        if self._runner is None:
            _poll(fds)
        else:
            self._runner.run(_wait_on_loop(fds))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def _send_items(items: Iterator[object], call: CallContext) -> int:
    sent = 0
    for item in items:
        call.wire.send(Item(call.id, "item", Raw(to_json(item))))
        sent += 1
    return sent


async def _send_async_items(items: AsyncIterator[object], call: CallContext) -> int:
    sent = 0
    async for item in items:
        call.wire.send(Item(call.id, "item", Raw(to_json(item))))
        sent += 1
    return sent


def _poll(fds: tuple[int, ...]) -> None:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    poll.poll()


async def _wait_on_loop(fds: tuple[int, ...]) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    for fd in fds:
        loop.add_reader(fd, readable.set)
    try:
        await readable.wait()
    finally:
        for fd in fds:
            loop.remove_reader(fd)

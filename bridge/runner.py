"""Runs one command of any kind, with one call at a time."""

from __future__ import annotations

import asyncio
import contextvars
import select
from collections.abc import AsyncIterator, Callable, Iterator
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

    def __init__(self, *fds: int) -> None:
        self._fds = fds
        self._poll = select.poll()
        for fd in fds:
            self._poll.register(fd, select.POLLIN)
        self._runner: asyncio.Runner | None = None

    def run(self, command: Command, arguments: dict[str, Any], call: CallContext) -> object:
        """Run to the end and return the result; the items of a stream are sent on the way."""
        context = contextvars.copy_context()
        made = context.run(_begin, call, command.function, arguments)
        if command.kind is Kind.PLAIN:
            return made
        match command.kind:
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

    def wait_readable(self) -> None:
        """Return when one of the descriptors can be read; the event loop, if any, turns meanwhile.

        End of file counts.
        """
        if self._runner is None:
            self._poll.poll()
        else:
            self._runner.run(_wait_on_loop(self._fds))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def _begin(call: CallContext, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    enter_call(call)
    return function(**arguments)


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

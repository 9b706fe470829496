"""A call from its beginning to its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Raw, Struct

from bridge.context import CallContext
from bridge.memory import Memory
from bridge.messages import NULL
from bridge.registry import Command


class Call(Struct, eq=False):
    """What is to be run, and what the pool says about it meanwhile.

    It is said on the thread that reads the wire, and heard on the one that
    runs the command: each member is written by one of them only. `allowed`
    counts all items that a stream may send; None is as many as there are.
    `base` has members that the result is to have besides its own. `table` tells
    of arguments that are in `memory`, if the process has some.
    """

    id: int
    command: Command
    args: bytes
    context: CallContext
    batch: list[Raw] | None = None
    allowed: int | None = None
    cancelled: bool = False
    base: dict[str, Any] | None = None
    interrupt: Callable[[], object] | None = None
    memory: Memory | None = None
    table: Raw = NULL

    def arguments(self) -> dict[str, Any]:
        """What the command is called with; raise `ArgumentError` if that does not fit."""
        if self.table is NULL or self.memory is None:
            return self.command.arguments.decode(self.args)
        return self.memory.decode(self.command, self.args, self.table)

    def begin(self) -> dict[str, Any]:
        """The `arguments`; the command runs from here on.

        Nobody else keeps them: large ones are to be gone when the command has returned.
        """
        arguments = self.arguments()
        self.context.begin()
        return arguments

    def cancel(self) -> None:
        """Have it end as soon as it can be interrupted."""
        if not self.cancelled:
            self.cancelled = True
            if self.interrupt is not None:
                self.interrupt()

    def grant(self, items: int) -> None:
        """Let a stream send so many items more."""
        if self.allowed is not None:
            self.allowed += items

    def may_go_on(self, sent: int) -> bool:
        """Whether there is something to do after `sent` items: to send one, or to end."""
        return self.cancelled or self.allowed is None or sent < self.allowed

    def check(self, sent: int) -> None:
        """Raise `CancelledError` if it is not to go on after `sent` items."""
        if self.cancelled:
            raise asyncio.CancelledError
        if not self.may_go_on(sent):
            raise asyncio.CancelledError("the bridge ends, and no more items can be asked for")

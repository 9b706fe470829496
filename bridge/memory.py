"""The child's end of a worker's memory: large arguments come in, large results go out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw

from bridge.arguments import ArgumentError
from bridge.messages import Success, success
from bridge.messages.memory import read_table
from bridge.messages.memory.arrays import types_taken
from bridge.messages.memory.files import Incoming, Outgoing
from bridge.messages.memory.large import Large, large_in, without
from bridge.registry import Command
from bridge.sender import ResultTooLarge


class Memory:
    """The two files that the pool has made for this worker.

    Results go out in them once the pool has said, in its handshake, of which
    types it takes them. May be used by several threads.
    """

    def __init__(self, fds: Iterable[int], max_frame_bytes: int) -> None:
        requests, results = fds
        for fd in (requests, results):
            os.set_inheritable(fd, False)
        self._incoming = Incoming(requests)
        self._outgoing = Outgoing(results)
        self._max_bytes = max_frame_bytes
        self._wanted: frozenset[str] = frozenset()

    def agree(self, offered: object, capabilities: list[str]) -> dict[str, Sequence[str]]:
        """What the handshake's args say under `memory`; return what its result says, then."""
        if not isinstance(offered, list):
            return {}
        self._wanted = frozenset(name for name in offered if isinstance(name, str))
        return {"memory": types_taken(), "capabilities": [*capabilities, "memory"]}

    def decode(self, command: Command, args: bytes, table: Raw) -> dict[str, Any]:
        """The arguments of a call, those included that its request has in memory.

        Raises `ArgumentError`, also for what is not there.
        """
        try:
            held = self._incoming.read(read_table(table, self._max_bytes, types_taken()))
            values = {_name(placed_at): one.value() for placed_at, one in held.items()}
        except (ValueError, OSError) as error:
            problem = {"path": "memory", "problem": str(error)}
            raise ArgumentError(command.name, [problem]) from None
        return command.arguments.decode(args, values)

    def large_in(self, result: object) -> tuple[Large, ...]:
        """The values of a result that are to go out in memory."""
        large = large_in(result)
        return tuple(one for one in large if one.type in self._wanted) if large else ()

    def success(
        self, large: tuple[Large, ...], call_id: int, result: object, **members: Any
    ) -> Success:
        """The reply of a command that returned, its large values written to memory.

        They stay there until `release`. Raises `ResultTooLarge`, and what `to_json` raises.
        """
        self._check_size(large)
        rest = {} if large[0].at is None else without(result, large)
        reply = success(call_id, rest, **members)
        reply.memory = self._outgoing.place(call_id, large)
        return reply

    def release(self, call_id: int) -> None:
        """The pool has read what the reply to that call told of, or will not."""
        self._outgoing.release(call_id)

    def trim(self) -> None:
        """Give back what no result is in."""
        self._outgoing.trim()

    def _check_size(self, large: tuple[Large, ...]) -> None:
        size = sum(one.size for one in large)
        if size > self._max_bytes:
            limit = f"over the limit of {self._max_bytes} bytes"
            raise ResultTooLarge(f"the result is too large to send: {size} bytes are {limit}")


def _name(at: str | None) -> str:
    if at is None:
        raise ValueError("an argument has no name")
    return at

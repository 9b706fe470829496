"""The pool's end of a worker's memory: large arguments go out, large results come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Raw
from msgspec.structs import replace

from bridge.messages import NULL, Reply, Unsendable, is_object
from bridge.messages.memory import Type, read_table
from bridge.messages.memory.arrays import types_taken
from bridge.messages.memory.files import Changed, Incoming, Outgoing
from bridge.messages.memory.large import Large, with_members
from pool.errors import RequestError
from pool.exchange.calls import Prepared
from pool.exchange.filled import Filled, fill


class Memory:
    """The two files of one worker, which `close_fd` closes with it, once.

    Nothing goes out in them before the bridge has said, in the handshake, of
    which types it takes values from there.
    """

    def __init__(
        self, requests: int, results: int, max_frame_bytes: int, close_fd: Callable[[int], None]
    ) -> None:
        self._close_fd = close_fd
        self.fds = (requests, results)
        self._outgoing = Outgoing(requests)
        self._incoming = Incoming(results)
        self._max_bytes = max_frame_bytes
        self.wanted = frozenset[str]()

    @property
    def offer(self) -> list[Type]:
        """The types of values that this side takes: what the handshake says under `memory`."""
        return types_taken()

    def agree(self, wanted: Iterable[str]) -> None:
        """The bridge takes values of these types."""
        self.wanted = frozenset(wanted)

    def place(self, call_id: int, prepared: Prepared, values: list[Large]) -> Raw:
        """Write values of a request; return what it has to say of them.

        They stay there until `answered`. Raises `RequestError`.
        """
        try:
            return self._outgoing.place(call_id, values)
        except (OSError, Changed) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise RequestError(f"{prepared.command}: the arguments cannot be sent: {why}") from None

    def answered(self, call_id: int) -> None:
        """The child has read what that request told of, or never will."""
        self._outgoing.release(call_id)

    def trim(self) -> None:
        """Give back what no argument is in."""
        self._outgoing.trim()

    def read(self, reply: Reply) -> Filled:
        """A reply with the values that it tells of; raise `ValueError` if they cannot be."""
        assert reply.memory is not NULL
        if reply.wrapped or not is_object(reply.result):
            raise ValueError("a result that is partly in `memory` is an object")
        try:
            table = read_table(reply.memory, self._max_bytes, self.offer)
            return fill(reply, self._incoming.read(table))
        except (OSError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def close(self) -> None:
        """Give all of it back; nothing can be placed or read any more."""
        self._outgoing.close()
        self._incoming.close()
        for fd in self.fds:
            self._close_fd(fd)


def outgoing(memory: Memory | None, call_id: int, prepared: Prepared) -> tuple[Prepared, Raw]:
    """Part a request's large values: in memory where its worker has some, else in the JSON.

    Raises `RequestError`, with nothing written.
    """
    taken = frozenset[str]() if memory is None else memory.wanted
    prepared = _inlined(prepared, [large for large in prepared.large if large.type not in taken])
    placed = [large for large in prepared.large if large.type in taken]
    if memory is None or not placed:
        return prepared, NULL
    return prepared, memory.place(call_id, prepared, placed)


def _inlined(prepared: Prepared, values: list[Large]) -> Prepared:
    """A request with values in its JSON: bytes as base64 text, arrays as lists."""
    try:
        args = with_members(prepared.args, {str(large.at): large.value for large in values})
    except Exception as error:
        # Its text, and what it came from, may quote the arguments.
        why = str(error) if isinstance(error, Unsendable) else f"{type(error).__name__} was raised"
        text = f"{prepared.command}: the arguments cannot be encoded: {why}"
        raise RequestError(text) from None
    return replace(prepared, args=args)

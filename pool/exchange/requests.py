"""The pool's own requests to a worker, and what the handshake tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from bridge.messages import ANONYMOUS, Reply, to_json
from bridge.messages.memory import RELEASE, TRIM
from bridge.messages.template import MAX_SECONDS
from pool.exchange.calls import Prepared


def internal(command: str, args: Mapping[str, Any] | None = None) -> Prepared:
    """A request that no caller asked for."""
    return Prepared(command, to_json(args or {}), ANONYMOUS)


def handshake(
    worker: str,
    options: Mapping[str, Any] | None,
    concurrency: int,
    memory: Sequence[str] = (),
) -> Prepared:
    """The first request: the worker is ready when it answers with success.

    `memory` are the types of values that the pool takes from the worker's memory.
    """
    args: dict[str, Any] = {"initialization": True, "worker_id": worker}
    if memory:
        args["memory"] = memory
    if concurrency > 1:
        args["concurrency"] = concurrency
    if options is not None:
        args["options"] = options
    return internal("ping", args)


PING = internal("ping")
SHUTDOWN = internal("shutdown")


def cancel(call_id: int) -> bytes:
    """The payload that asks for the end of a call; it has no reply of its own."""
    return b'{"command":"$cancel","args":{"id":%d}}' % call_id


def credit(call_id: int, items: int) -> bytes:
    """The payload that lets a stream send so many more items; it has no reply."""
    return b'{"command":"$credit","args":{"id":%d,"items":%d}}' % (call_id, items)


def release(call_id: int) -> bytes:
    """The payload that says that the values of a reply have been read; it has no reply."""
    return b'{"command":"%b","args":{"id":%d}}' % (RELEASE.encode(), call_id)


TRIMMING = to_json({"command": TRIM, "args": {}})
"""The payload that has the bridge give back memory that nothing is in; it has no reply."""


def catch_up(session: str) -> Prepared:
    """A request that only carries news of a session."""
    return Prepared("ping", to_json({"session_id": session}), session)


NEIGHBOURLY = {"concurrent", "credit"}
"""What a bridge must be capable of to have more than one call at a time: without credit, a stream
that is read slowly would hold up the replies to the other calls, or fill the memory here."""

MAX_HANDSHAKE = 64 * 1024
"""Bytes above which the result of a handshake is not looked into."""


class _Described(msgspec.Struct):
    capabilities: list[str] = []


class _WithMemory(_Described):
    memory: list[str] = []


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_SECONDS)]


class Timings(msgspec.Struct, frozen=True):
    """Seconds of a bridge's start: its import, and what its start-up functions took."""

    imports: _Seconds = msgspec.field(default=0.0, name="import")
    start_up: _Seconds = 0.0


class _WithTimings(_Described):
    timings: Timings = Timings()


D = TypeVar("D", bound=_Described)


def capabilities(reply: Reply) -> list[str]:
    """What the handshake's result lists; a foreign bridge lists nothing, or anything."""
    described = _described(reply, _Described)
    return described.capabilities if described else []


def memory_types(reply: Reply) -> list[str]:
    """The types of values that the bridge takes from its worker's memory."""
    described = _described(reply, _WithMemory)
    return described.memory if described and "memory" in described.capabilities else []


def timings(reply: Reply) -> Timings:
    """What the bridge tells of its start; a foreign one tells nothing, or anything."""
    described = _described(reply, _WithTimings)
    return described.timings if described else Timings()


def _described(reply: Reply, type_: type[D]) -> D | None:
    if len(memoryview(reply.result)) > MAX_HANDSHAKE:
        return None
    try:
        return msgspec.json.decode(reply.result, type=type_)
    except (ValueError, RecursionError):
        return None

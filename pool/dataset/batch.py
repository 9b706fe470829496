"""Many calls of one command in one frame: how they are asked for, and what comes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sized
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from bridge.messages import ANONYMOUS, NULL, Reply
from bridge.messages.memory.arrays import hook
from bridge.messages.secrets import Secrets
from pool.errors import (
    EnvironmentInvalid,
    PoolClosed,
    PoolError,
    ResultTypeError,
    WorkerStartError,
)
from pool.exchange.calls import Prepared
from pool.exchange.inflight import Call
from pool.exchange.results import item_of, remote_error


def prepare_batch(command: str, encoded: list[bytes]) -> Prepared:
    """The request of as many calls as there are `encoded` arguments."""
    return Prepared(command, b"[" + b",".join(encoded) + b"]", ANONYMOUS, size=len(encoded))


class BatchCall(Call):
    """A batch in flight; keeps what it is told of calls that are done before the others are."""

    is_typical = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.parts: list[Reply] = []

    def take(self, reply: Reply) -> bool:
        self.parts.append(reply)
        return len(self.parts) <= (self.prepared.size or 0)

    def counted(self, outcome: str, reply: Reply | None) -> dict[str, int]:
        """Calls that were told of have outcomes of their own, whatever becomes of the others."""
        size = self.prepared.size or 0
        if outcome == "cancelled":
            return {outcome: size}  # nobody reads what was told
        if outcome == "ok" and reply is not None:
            told, replies = size, [*self.parts, reply]
        else:
            told, replies = min(size, sum(map(_results_in, self.parts))), self.parts
        failed = min(told, sum(map(_failures_in, replies)))
        counts = Counter({"ok": told - failed, "error": failed})
        counts[outcome] += size - told
        return {outcome: count for outcome, count in counts.items() if count}


FATAL = (PoolClosed, EnvironmentInvalid, WorkerStartError)
"""What ends the calls for a dataset: no later one could be made either."""


class Failed(Struct, frozen=True):
    """What stands in the place of a result that there is none of."""

    error: Exception


class _Told(Struct):
    """A failure as the bridge tells it."""

    error: str
    error_type: str | None = None
    traceback: str | None = None
    details: Raw = NULL


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_names = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_failures = msgspec.json.Decoder(dict[str, _Told]).decode


def outcomes_of(
    replies: list[Reply], prepared: Prepared, result_type: Any, secrets: Secrets
) -> list[Any]:
    """What came of the calls that were told, in their order: a result or `Failed`."""
    outcomes: list[Any] = []
    for reply in replies:
        try:
            outcomes += _part(reply, len(outcomes), prepared.command, result_type, secrets)
        except (ValueError, RecursionError):
            break  # what makes no sense tells nothing
    return outcomes[: prepared.size]


def _results_in(part: Reply) -> int:
    return _count(_decode_list, part.results)


def _failures_in(part: Reply) -> int:
    return 0 if part.failures is NULL else _count(_decode_names, part.failures)


def _count(decode: Callable[[Raw], Sized], raw: Raw) -> int:
    try:
        return len(decode(raw))
    except (ValueError, RecursionError):
        return 0


def nothing_told(prepared: Prepared, reply: Reply, secrets: Secrets) -> PoolError:
    """The error of a call that was in a batch and of which its reply says nothing."""
    if not reply.success:
        said = (reply.error, reply.error_type, reply.traceback, reply.details)
        return remote_error(*said, secrets)
    return ResultTypeError(f"the reply to a batch of {prepared.command} lacks some results", None)


def _part(reply: Reply, start: int, command: str, result_type: Any, secrets: Secrets) -> list[Any]:
    failures = {} if reply.failures is NULL else _decode_failures(reply.failures)
    if not failures:
        try:
            decoded: list[Any] = _list_decoder(result_type)(reply.results)
            return decoded
        except msgspec.ValidationError:
            pass  # one of them is of another type: see which
    return [
        _one(data, failures.get(str(place)), command, result_type, secrets)
        for place, data in enumerate(_decode_list(reply.results), start)
    ]


def _one(data: Raw, told: _Told | None, command: str, result_type: Any, secrets: Secrets) -> Any:
    if told is not None:
        said = (told.error, told.error_type, told.traceback, told.details)
        return Failed(remote_error(*said, secrets))
    try:
        return item_of(data, command, result_type, secrets)
    except PoolError as error:
        return Failed(error)


@lru_cache(maxsize=256)
def _cached_list_decoder(item_type: Any) -> Any:
    return msgspec.json.Decoder(list[item_type], dec_hook=hook).decode


def _list_decoder(item_type: Any) -> Any:
    try:
        return _cached_list_decoder(item_type)
    except TypeError:  # a type that cannot be hashed
        return msgspec.json.Decoder(list[item_type], dec_hook=hook).decode

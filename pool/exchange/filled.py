"""A reply whose result is partly in memory, and that result. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from bridge.messages import Reply, to_json
from bridge.messages.memory.arrays import hook
from bridge.messages.memory.held import Held
from bridge.messages.memory.large import with_members

Values = Mapping[str | None, Held]


class Filled(Reply, kw_only=True):
    """A reply with the values that have been read for it, by their names in the result.

    None is the name of the result itself.
    """

    values: Values


def fill(reply: Reply, values: Values) -> Filled:
    """A reply with its values."""
    said = {name: getattr(reply, name) for name in reply.__struct_fields__}
    return Filled(**said, values=values)


def decode_filled(reply: Filled, type_: Any, decode: Callable[[Raw, Any], Any]) -> Any:
    """The result as `type_`, for which JSON is decoded with `decode`.

    Where bytes or an array do not fit, what JSON would have said in their place
    may: base64 text, a list. Raises `ValueError` if that does not either.
    """
    result = _result(reply, Held.value)
    try:
        return msgspec.convert(result, type_, str_keys=True, dec_hook=hook)
    except msgspec.ValidationError as misfit:
        try:
            return decode(_as_json(reply), type_)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise misfit from None


def plain_filled(reply: Filled) -> Any:
    """The result with its bytes and arrays as they are, all else as plain JSON values."""
    return _result(reply, _plain)


def _result(reply: Filled, value_of: Callable[[Held], Any]) -> Any:
    values = {at: value_of(held) for at, held in reply.values.items()}
    if None in values:
        return values[None]
    return {**msgspec.json.decode(reply.result), **values}


def _plain(held: Held) -> Any:
    """The value; the bytes of what cannot be an array."""
    try:
        return held.value()
    except ValueError:
        return bytes(held.data)


def _as_json(reply: Filled) -> Raw:
    if None in reply.values:
        return Raw(to_json(reply.values[None].value()))
    values = {str(at): held.value() for at, held in reply.values.items()}
    return Raw(with_members(bytes(memoryview(reply.result)), values))

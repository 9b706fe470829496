"""Finds the large values of a message, takes them out of its JSON, or leaves them there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from types import NoneType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from bridge.messages import to_json
from bridge.messages.memory import LARGE, MAX_NAME, MAX_VALUES, Type
from bridge.messages.memory.arrays import is_array

SESSION = "session_id"

_NEVER_LARGE = frozenset({str, int, float, bool, NoneType, list, dict, tuple, Raw})
"""Types of nearly all arguments, which are not looked at further."""


class Large(Struct, frozen=True):
    """A value that is to be sent outside the JSON, kept as it is: nobody may change it until then.

    `at` is its name there, `field` that in Python, where the two differ.
    """

    at: str | None
    value: Any
    type: Type
    size: int
    field: str = ""


def large_members(value: object) -> tuple[Large, ...]:
    """The large values of a dict, struct or dataclass: its own, not those further inside."""
    # Each call comes through here, nearly always for nothing.
    for member in value.values() if type(value) is dict else _values(value):
        if type(member) not in _NEVER_LARGE:
            break
    else:
        return ()
    found = (_as_large(at, member, field) for at, field, member in _members(value))
    return tuple(large for large in found if large is not None)[:MAX_VALUES]


def large_in(result: object) -> tuple[Large, ...]:
    """`large_members`, or the value itself if it is a large one."""
    if type(result) is not dict:
        if type(result) in _NEVER_LARGE:
            return ()
        itself = _as_large(None, result)
        if itself is not None:
            return (itself,)
    return large_members(result)


def without(value: Any, large: tuple[Large, ...]) -> Any:
    """A value without its large members, to be encoded."""
    if isinstance(value, dict):
        taken = {one.at for one in large}
        return {name: member for name, member in value.items() if name not in taken}
    rest = copy.copy(value)
    for one in large:
        if isinstance(rest, Struct):
            msgspec.structs.force_setattr(rest, one.field, UNSET)
        else:
            object.__setattr__(rest, one.field, UNSET)  # it may be frozen
    return rest


def with_members(encoded: bytes, values: Mapping[str, object]) -> bytes:
    """A JSON object with further members, as if they had never been taken out."""
    if not values:
        return encoded
    more = to_json(values)
    return more if encoded == b"{}" else encoded[:-1] + b"," + more[1:]


def _values(value: Any) -> Iterable[object]:
    """The values of its members, if it has any of its own: a class has not."""
    kind: Any = type(value)
    if kind in _NEVER_LARGE or isinstance(value, type):
        return ()
    if isinstance(value, dict):
        return value.values()
    names: Iterable[str] = getattr(kind, "__struct_fields__", ())
    names = names or getattr(kind, "__dataclass_fields__", ())
    return [getattr(value, name, None) for name in names]


def _members(value: Any) -> Iterator[tuple[str, str, object]]:
    """Names in JSON and in Python, and values."""
    if isinstance(value, dict):
        yield from ((name, name, member) for name, member in value.items() if type(name) is str)
    elif isinstance(value, Struct):
        for at, field in zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True):
            yield at, field, getattr(value, field, None)
    else:
        for item in fields(value):
            yield item.name, item.name, getattr(value, item.name, None)


def _as_large(at: str | None, value: object, field: str = "") -> Large | None:
    kind = _kind(value)
    if kind is None or kind[1] <= LARGE or at == SESSION or len(at or "") > MAX_NAME:
        return None
    return Large(at, value, *kind, field)


def _kind(value: Any) -> tuple[Type, int] | None:
    """Type and bytes of what can travel outside the JSON."""
    if type(value) in (bytes, bytearray):
        return "bytes", len(value)
    if type(value) is memoryview:
        with suppress(ValueError):  # it may have been released
            return ("bytes", value.nbytes) if value.c_contiguous else None
    return ("ndarray", value.nbytes) if is_array(value) else None

"""The output: a line of JSON for each item that is done. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pool.errors import RemoteError

_BEGINNING = b'{"index":'
"""Of every record."""


class Failure(Struct, omit_defaults=True):
    """Why there is no result: `type` is the pool's error, `error_type` what the command raised."""

    type: str
    message: str
    error_type: str | None = None


class Record(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What came of an item: either a `result` or an `error`. `index` is its line, from 0."""

    index: Annotated[int, Meta(ge=0)]
    result: Raw | UnsetType = UNSET
    error: Failure | UnsetType = UNSET


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(Record).decode


def failure_of(error: Exception) -> Failure:
    """An error of a call as it stands in a record."""
    kind = type(error).__name__
    if isinstance(error, RemoteError):
        return Failure(kind, error.message, error.error_type)
    return Failure(kind, str(error))


def encode(records: list[Record]) -> bytes:
    """A line for each of them."""
    data = _encoder.encode_lines(records)
    if data.count(b"\n") == len(records):
        return data
    # A bridge has sent a result that spans lines.
    lines = (msgspec.json.format(_encoder.encode(record), indent=-1) for record in records)
    return b"".join(line + b"\n" for line in lines)


def decode(line: bytes) -> Record:
    """Read a line; raise `ValueError` if it is no record."""
    try:
        record = _decode(line)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if (record.result is UNSET) == (record.error is UNSET):
        raise ValueError("it has to have either a result or an error")
    return record


def may_be_cut_off(line: bytes) -> bool:
    """Whether a line without an end is the beginning of a record."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)

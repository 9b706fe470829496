"""Large values that travel outside the JSON: what a message says of them. Pure.

Two anonymous files in memory belong to a worker. The pool alone writes one of
them, the child the other; a message tells where in its sender's file its
values are. Nothing of the files is ever mapped: whoever else has them could cut
them short, and a page that is not there any more is a SIGBUS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, json

LARGE = 64 * 1024
"""Bytes above which a value is taken out of the JSON: what a pipe holds (pipe(7)). Two calls of
the kernel then cost less than base64 text, and far less than a list of numbers."""

MAX_VALUES = 256
"""Values that one message takes out of its JSON; further ones stay there."""

MAX_NAME = 1024
"""Characters of the name of such a value; one of a longer name stays in the JSON."""

MAX_TABLE_BYTES = 4 * 1024 * 1024
"""Bytes of JSON that tell of a message's values: more than as many names can take."""

RELEASE = "$release"
"""The pool's request, without an id or a reply, that gives the values of reply `id` back."""

TRIM = "$trim"
"""The pool's request, without an id or a reply, to give back what no value is in."""

_MAX_DIMENSIONS = 32  # of numpy 1; numpy 2 takes 64
_MAX_ADDRESS = 2**63 - 1

_UNITS = r"(?:\[\d{0,9}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
_DTYPE = rf"[<>|](?:b1|[iu][1248]|f[248]|c(?:8|16)|[Mm]8{_UNITS}|[SU](?=[1-9])\d{{1,9}})"
"""Compiled when it is needed, which would take half of what a worker needs to import all this."""

Type = Literal["bytes", "ndarray"]


class Placed(Struct, omit_defaults=True):
    """A value and where it is: `size` bytes from `offset`.

    `at` is the name of an argument, or of a member of the result; None for the
    result itself. An array is in C order, its `dtype` as numpy writes it.
    """

    at: str | None
    offset: Annotated[int, Meta(ge=0)]
    size: Annotated[int, Meta(ge=0)]
    type: Type
    dtype: Annotated[str, Meta(max_length=32)] = ""
    shape: tuple[Annotated[int, Meta(ge=0)], ...] = ()


_decode_table = json.Decoder(list[Placed] | None).decode


def read_table(raw: Raw, most: int, types: Collection[Type]) -> list[Placed]:
    """What a message says of its values, of these types, which take `most` bytes together.

    Raises `ValueError` if it cannot be true.
    """
    if len(memoryview(raw)) > MAX_TABLE_BYTES:
        raise ValueError(f"`memory` is longer than {MAX_TABLE_BYTES} bytes")
    table = _decode_table(raw) or []
    names = {placed.at for placed in table}
    if len(names) < len(table) or (None in names and len(table) > 1):
        raise ValueError("`memory` names a value twice")
    total = sum(placed.size for placed in table)
    if total > most:
        raise ValueError(f"values of {total} bytes are over the limit of {most} bytes")
    for placed in table:
        _check(placed, types)
    return table


def _check(placed: Placed, types: Collection[Type]) -> None:
    if placed.type not in types:
        raise ValueError(f"values of type {placed.type} are not taken from `memory`")
    if placed.offset > _MAX_ADDRESS - placed.size:
        raise ValueError(f"there is nothing at {placed.offset} in `memory`")
    if placed.type == "ndarray":
        size = math.prod((item_size(placed.dtype), *placed.shape))
        # What an array would span with no dimension of nought is numpy's measure too.
        span = math.prod((item_size(placed.dtype), *filter(None, placed.shape)))
        if size != placed.size or span > _MAX_ADDRESS or len(placed.shape) > _MAX_DIMENSIONS:
            raise ValueError(f"{placed.size} bytes are no array of that shape")


def item_size(dtype: str) -> int:
    """The bytes of an item of an array; raise `ValueError` for what does not travel.

    Numbers, truth values, dates, durations, and bytes and text of a fixed length do.
    """
    if re.fullmatch(_DTYPE, dtype, re.ASCII) is None:
        raise ValueError("an array's dtype is none that can be sent")
    length = int(dtype[2:].partition("[")[0])
    return 4 * length if dtype[1] == "U" else length

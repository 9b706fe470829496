"""What a message says of its values: read if it can be true, refused if not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from bridge.messages.memory import (
    LARGE,
    MAX_NAME,
    MAX_TABLE_BYTES,
    MAX_VALUES,
    RELEASE,
    Placed,
    Type,
    item_size,
    read_table,
)

MOST = 1000
ALL: list[Type] = ["bytes", "ndarray"]


def entry(**members: Any) -> dict[str, Any]:
    return {"at": "a", "offset": 0, "size": 8, "type": "bytes", **members}


def array(**members: Any) -> dict[str, Any]:
    return entry(**{"type": "ndarray", "dtype": "<f4", "shape": [2], **members})


def read(*entries: Any, types: list[Type] = ALL) -> list[Placed]:
    return read_table(Raw(msgspec.json.encode(entries)), MOST, types)


def test_the_bounds_are_those_that_the_wire_tells() -> None:
    assert (LARGE, MAX_VALUES, MAX_NAME, MAX_TABLE_BYTES) == (65_536, 256, 1_024, 4_194_304)
    assert RELEASE == "$release"


def test_what_is_no_array_says_nothing_of_arrays() -> None:
    said = json.loads(msgspec.json.encode(Placed(None, 0, 8, "bytes")))
    assert said == entry(at=None)


def test_a_table_is_read() -> None:
    assert read(entry(), array(at="b", offset=8)) == [
        Placed("a", 0, 8, "bytes"),
        Placed("b", 8, 8, "ndarray", "<f4", (2,)),
    ]
    assert read(entry(at=None)) == [Placed(None, 0, 8, "bytes")]
    assert read_table(Raw(b"null"), MOST, ALL) == []


def test_values_may_take_as_much_as_is_allowed_and_no_more() -> None:
    assert len(read(entry(size=MOST - 1), entry(at="b", size=1))) == 2
    with pytest.raises(ValueError, match="1001 bytes are over the limit of 1000"):
        read(entry(size=MOST), entry(at="b", size=1))


def test_a_value_may_end_at_the_last_address_there_is() -> None:
    read(entry(offset=2**63 - 1 - 8))
    with pytest.raises(ValueError, match="there is nothing at"):
        read(entry(offset=2**63 - 8))


def test_an_array_may_span_what_can_be_addressed_in_32_dimensions() -> None:
    read(array(size=0, dtype="|u1", shape=[2**63 - 1, 0]))
    read(array(shape=[2] + [1] * 31))


def test_a_type_that_was_not_asked_for_is_refused() -> None:
    read(entry(), types=["bytes"])
    with pytest.raises(ValueError, match="ndarray are not taken"):
        read(array(), types=["bytes"])


LIES = [
    entry(offset=-1),
    entry(size=-1),
    entry(offset=1.5),
    entry(offset=10**30),
    entry(type="pickle"),
    entry(at=1),
    {"at": "a", "offset": 0, "size": 8},
    "a",
    array(shape=[3]),
    array(shape=[-2]),
    array(shape=[]),
    array(shape=[2, 0]),
    array(size=0, shape=[2**62, 2**62, 0]),
    array(size=0, shape=[2**62, 0]),
    array(size=4, shape=[1] * 33),
    array(dtype=""),
    array(dtype="O"),
    array(dtype="|O8", shape=[1]),
    array(dtype="|V4"),
    array(dtype="<f3"),
    array(dtype="<f4,<f4", shape=[1]),
    array(dtype="(2,)<f4", shape=[1]),
    array(dtype="<S0", shape=[8]),
    array(dtype="<U999999999999999", shape=[2]),
    array(dtype="<M8[x]", shape=[1]),
    array(dtype="<f\u0664"),  # a digit, but none of ours
    array(dtype="<f4" + " " * 40),
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_what_cannot_be_is_refused(lie: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(lie)


@pytest.mark.parametrize("entries", [[entry(), entry()], [entry(), entry(at=None)]])
def test_a_value_is_named_once(entries: list[Any]) -> None:
    with pytest.raises(ValueError, match="names a value twice"):
        read(*entries)


def test_a_table_of_absurd_length_is_not_decoded() -> None:
    longest = msgspec.json.encode([entry(at="\x01" * MAX_NAME)] * MAX_VALUES)
    assert len(longest) < MAX_TABLE_BYTES
    at_most = b"[" + b" " * (MAX_TABLE_BYTES - 2) + b"]"
    assert read_table(Raw(at_most), MOST, ALL) == []
    with pytest.raises(ValueError, match="is longer than"):
        read_table(Raw(at_most + b" "), MOST, ALL)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("|b1", 1),
        ("<i8", 8),
        (">u2", 2),
        ("<f2", 2),
        ("<c16", 16),
        ("|S10", 10),
        ("<U10", 40),
        ("<M8", 8),
        ("<M8[25us]", 8),
        (">m8[D]", 8),
    ],
)
def test_the_size_of_an_item_is_read_from_its_dtype(dtype: str, size: int) -> None:
    assert item_size(dtype) == size

"""Results that are partly in memory, as the types that are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from bridge.messages import success
from bridge.messages.memory import LARGE, Placed
from bridge.messages.memory.files import Outgoing
from bridge.messages.memory.held import Held
from bridge.messages.memory.large import large_in, without
from bridge.messages.secrets import Secrets
from pool.errors import ResultTypeError
from pool.exchange.filled import Filled, decode_filled, fill
from pool.exchange.large import Memory
from pool.exchange.results import decode_reply, result_of

MOST = 16 * LARGE
DATA = os.urandom(LARGE + 1)
ARRAY = np.arange(LARGE, dtype="<f4").reshape(2, -1)


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory(os.memfd_create("test"), os.memfd_create("test"), MOST, os.close)
    yield memory
    memory.close()


def reply_of(memory: Memory, result: Any) -> Filled:
    """What the pool makes of a command's result."""
    large = large_in(result)
    reply = success(1, {} if large[0].at is None else without(result, large))
    reply.memory = Outgoing(memory.fds[1]).place(1, large)
    return memory.read(decode_reply(msgspec.json.encode(reply)))


def read(memory: Memory, result: Any, type_: Any) -> Any:
    return result_of(reply_of(memory, result), "c", type_, Secrets())


class Record(msgspec.Struct, rename="camel"):
    my_data: bytes
    n: int = 0


class WithArray(msgspec.Struct):
    array: NDArray[np.float64]
    price: Decimal


class WithRaw(msgspec.Struct):
    data: bytes
    rest: Raw


class OfLists(msgspec.Struct):
    array: list[list[float]]


@dataclass
class Plain:
    data: bytes
    by_number: dict[int, str]


class Typed(TypedDict):
    data: bytes


@pytest.mark.parametrize(
    ("result", "type_", "expected"),
    [
        (DATA, Any, DATA),
        (DATA, bytes, DATA),
        (DATA, bytearray, bytearray(DATA)),
        (DATA, bytes | None, DATA),
        ({"data": DATA, "n": 1}, Any, {"data": DATA, "n": 1}),
        ({"data": DATA}, dict[str, bytes], {"data": DATA}),
        ({"data": DATA}, Typed, {"data": DATA}),
        (Record(DATA, 5), Record, Record(DATA, 5)),
        ({"data": DATA, "by_number": {"1": "a"}}, Plain, Plain(DATA, {1: "a"})),
        ({"array": ARRAY}, OfLists, OfLists(ARRAY.tolist())),
        (ARRAY, list[list[float]], ARRAY.tolist()),
    ],
)
def test_a_result_becomes_the_type_that_is_asked_for(
    memory: Memory, result: Any, type_: Any, expected: Any
) -> None:
    assert read(memory, result, type_) == expected


@pytest.mark.parametrize(
    ("result", "type_"),
    [
        (DATA, bytes),
        (Record(DATA, 5), Record),
        ({"data": DATA, "by_number": {"1": "a"}}, Plain),
        ({"array": ARRAY, "price": "1.10"}, WithArray),
    ],
)
def test_what_fits_is_not_made_json_of(memory: Memory, result: Any, type_: Any) -> None:
    def never(raw: Raw, type_: Any) -> Any:
        raise AssertionError

    assert isinstance(decode_filled(reply_of(memory, result), type_, never), type_)


def test_arrays_become_what_is_asked_for(memory: Memory) -> None:
    assert read(memory, ARRAY, Any).dtype == np.float32
    made = read(memory, {"array": ARRAY, "price": "1.10"}, WithArray)
    assert made.array.dtype == np.float64
    assert made.price == Decimal("1.10")
    np.testing.assert_array_equal(made.array, ARRAY)


def test_what_cannot_be_converted_is_decoded_as_if_it_had_come_in_the_json(memory: Memory) -> None:
    made = read(memory, {"data": DATA, "rest": {"a": [1]}}, WithRaw)
    assert (made.data, bytes(made.rest)) == (DATA, b'{"a":[1]}')


@pytest.mark.parametrize(
    ("result", "type_", "said"),
    [
        (DATA, int, "Expected `int`, got `bytes`"),
        (ARRAY, bytes, "Expected `bytes`, got `numpy.ndarray`"),
        (ARRAY * 1j, list[float], "Expected `array`, got `numpy.ndarray`"),
        ({"data": DATA, "n": 1}, dict[str, bytes], "Expected `bytes`, got `int`"),
    ],
)
def test_a_result_of_another_type_is_kept(
    memory: Memory, result: Any, type_: Any, said: str
) -> None:
    with pytest.raises(ResultTypeError, match=said) as caught:
        read(memory, result, type_)
    np.testing.assert_equal(caught.value.result, result)


def test_an_array_that_cannot_be_made_is_kept_as_bytes() -> None:
    placed = Placed("a", 0, 4, "ndarray", "<f4", (3,))  # no reading would have let that pass
    reply = decode_reply(b'{"id":1,"success":true,"result":{"n":1}}')
    with pytest.raises(ResultTypeError) as caught:
        result_of(fill(reply, {"a": Held(placed, b"abcd")}), "c", Any, Secrets())
    assert caught.value.result == {"n": 1, "a": b"abcd"}


LIES = [
    {"result": 5},
    {"result": {"value": 1}, "wrapped": True},
    {"memory": [{"at": "a", "offset": 0, "size": MOST + 1, "type": "bytes"}]},
    {"memory": [{"at": "a", "offset": 0, "size": 1, "type": "bytes"}]},
    {"memory": "a"},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_reply_that_cannot_be_is_a_value_error(memory: Memory, lie: Any) -> None:
    said = {"id": 1, "success": True, "result": {}, "memory": [], **lie}
    with pytest.raises(ValueError, match=r"\w"):
        memory.read(decode_reply(json.dumps(said).encode()))


def test_arrays_are_not_taken_where_they_were_not_offered(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pool.exchange.large.types_taken", lambda: ["bytes"])
    assert read(memory, DATA, bytes) == DATA
    with pytest.raises(ValueError, match="ndarray are not taken"):
        read(memory, ARRAY, Any)

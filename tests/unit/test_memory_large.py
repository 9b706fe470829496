"""Which values are taken out of the JSON, and what is left of it."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

from bridge.messages import to_json
from bridge.messages.memory import LARGE, MAX_NAME, MAX_VALUES
from bridge.messages.memory.large import large_in, large_members, with_members, without

BIG = bytes(LARGE + 1)


class Point(msgspec.Struct, frozen=True, rename="camel", tag="point"):
    my_data: Any
    n: int = 1


@dataclass(frozen=True, slots=True)
class Plain:
    my_data: Any
    n: int = 1


class OfLists(msgspec.Struct, array_like=True):
    my_data: Any


@pytest.mark.parametrize(
    ("value", "type_", "size"),
    [
        (BIG, "bytes", LARGE + 1),
        (bytearray(BIG), "bytes", LARGE + 1),
        (memoryview(BIG), "bytes", LARGE + 1),
        (memoryview(bytes(12 * LARGE)).cast("f", (3, LARGE)), "bytes", 12 * LARGE),
        (np.zeros((3, LARGE), "f4"), "ndarray", 12 * LARGE),
        (np.zeros((3, LARGE), "f4").T, "ndarray", 12 * LARGE),
    ],
)
def test_bytes_and_arrays_are_found_among_other_values(value: Any, type_: str, size: int) -> None:
    (large,) = large_members({"a": 1, "b": value, "c": [1]})
    assert (large.at, large.type, large.size) == ("b", type_, size)
    assert large.value is value
    assert [one.at for one in large_in(value)] == [None]
    assert [one.at for one in large_in({"b": value})] == ["b"]


@pytest.mark.parametrize(
    "value",
    [
        bytes(LARGE),
        np.zeros(LARGE, "u1"),
        "x" * 2 * LARGE,
        [BIG],
        {"inside": BIG},
        memoryview(bytes(2 * len(BIG)))[::2],
        np.full(LARGE, None),
        None,
    ],
)
def test_small_ones_others_and_those_further_inside_stay(value: Any) -> None:
    assert large_members({"a": value}) == ()
    assert large_in({"a": value}) == ()
    assert large_in([value]) == ()


def test_the_session_and_what_has_no_usable_name_stay() -> None:
    assert large_members({"session_id": BIG, "x" * (MAX_NAME + 1): BIG, 5: BIG}) == ()
    assert len(large_members({"x" * MAX_NAME: BIG})) == 1


def test_no_more_are_taken_than_a_table_may_tell() -> None:
    many = {str(number): BIG for number in range(MAX_VALUES + 1)}
    large = large_members(many)
    assert len(large) == MAX_VALUES
    assert list(without(many, large)) == [str(MAX_VALUES)]


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ({"myData": BIG, "n": 1}, "myData"),
        (OrderedDict(myData=BIG, n=1), "myData"),
        (Point(BIG), "myData"),
        (Plain(BIG), "my_data"),
    ],
)
def test_the_rest_is_encoded_without_them(value: Any, at: str) -> None:
    whole, large = json.loads(to_json(value)), large_members(value)
    rest = to_json(without(value, large))
    assert [one.at for one in large] == [at]
    assert at not in json.loads(rest)
    assert json.loads(with_members(rest, {at: BIG})) == whole
    assert json.loads(to_json(value)) == whole  # it is as it was


def test_members_are_put_into_any_object() -> None:
    assert with_members(b"{}", {"a": b"\xff"}) == b'{"a":"/w=="}'
    assert with_members(b'{"b":1}', {"a": np.arange(2)}) == b'{"b":1,"a":[0,1]}'
    assert with_members(b'{"b":1}', {}) == b'{"b":1}'
    with pytest.raises(TypeError):
        with_members(b"{}", {"a": np.arange(2) * 1j})


@dataclass
class WithDefault:
    data: bytes = BIG


def test_what_has_no_values_of_its_own_has_no_large_ones() -> None:
    view = memoryview(BIG)
    view.release()
    for value in (Plain, Point, WithDefault, view):
        assert large_in(value) == ()
        assert large_members({"a": value}) == ()

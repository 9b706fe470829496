"""Arguments that came outside the JSON: the same as if they had come inside."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from bridge import ArgumentError
from bridge.arguments import Arguments

BYTES = b"\x00\xff" * 3
TEXT = "AP8A/wD/"
FLOATS = np.array([1.5, 2.5], "f4")


def of_bytes(data: bytes, n: int = 1, *, more: bytes | None = None) -> None: ...
def of_bytearray(data: bytearray) -> None: ...
def of_view(data: memoryview) -> None: ...
def of_text(data: str) -> None: ...
def of_raw(data: Raw) -> None: ...
def of_anything(data: Any) -> None: ...
def of_untyped(data) -> None: ...  # type: ignore[no-untyped-def]
def of_array(data: NDArray[np.float32]) -> None: ...
def of_any_array(data: np.ndarray | None = None) -> None: ...
def of_list(data: list[float]) -> None: ...
def of_short(data: Annotated[bytes, msgspec.Meta(max_length=3)]) -> None: ...
def of_extra(name: str = "", **extra: Any) -> None: ...
def of_raw_extra(**extra: Raw) -> None: ...


def decode(function: Any, outside: dict[str, Any], args: object = None) -> dict[str, Any]:
    arguments = Arguments(function.__name__, function)
    return arguments.decode(msgspec.json.encode(args or {}), outside)


def problems(function: Any, outside: dict[str, Any], args: object = None) -> dict[str, str]:
    with pytest.raises(ArgumentError) as caught:
        decode(function, outside, args)
    return {problem["path"]: problem["problem"] for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("function", "value", "given"),
    [
        (of_bytes, BYTES, BYTES),
        (of_bytearray, BYTES, bytearray(BYTES)),
        (of_view, BYTES, memoryview(BYTES)),
        (of_text, BYTES, TEXT),
        (of_anything, BYTES, BYTES),
        (of_untyped, BYTES, BYTES),
        (of_extra, BYTES, BYTES),
        (of_list, FLOATS, [1.5, 2.5]),
    ],
)
def test_a_value_becomes_what_is_asked_for(function: Any, value: Any, given: Any) -> None:
    decoded = decode(function, {"data": value})
    assert decoded == {"data": given}
    assert type(decoded["data"]) is type(given)


@pytest.mark.parametrize("function", [of_array, of_any_array, of_anything, of_extra])
def test_an_array_is_given_as_it_is(function: Any) -> None:
    assert decode(function, {"data": FLOATS})["data"] is FLOATS


def test_an_array_has_the_dtype_that_is_asked_for_however_it_came() -> None:
    for outside, args in [({"data": FLOATS.astype("f8")}, {}), ({}, {"data": [1.5, 2.5]})]:
        array = decode(of_array, outside, args)["data"]
        np.testing.assert_array_equal(array, FLOATS)
        assert array.dtype == np.float32


@pytest.mark.parametrize("function", [of_raw, of_raw_extra])
def test_raw_json_is_what_would_have_come_inside(function: Any) -> None:
    assert bytes(decode(function, {"data": BYTES})["data"]) == f'"{TEXT}"'.encode()
    assert bytes(decode(function, {"data": FLOATS})["data"]) == b"[1.5,2.5]"


def test_values_come_from_both_sides() -> None:
    decoded = decode(of_bytes, {"data": BYTES}, {"n": 5, "more": TEXT, "session_id": "s"})
    assert decoded == {"data": BYTES, "n": 5, "more": BYTES}
    assert decode(of_extra, {"data": BYTES}, {"name": "n", "x": 1}) == {
        "data": BYTES,
        "name": "n",
        "x": 1,
    }


def test_every_bad_argument_is_named_on_either_side() -> None:
    assert problems(of_bytes, {"n": BYTES}, {"more": 1, "nope": 1}) == {
        "data": "missing",
        "n": "Expected `int`, got `str`",
        "more": "Expected `bytes | null`, got `int`",
        "nope": "unknown argument",
    }
    assert problems(of_bytes, {"nope": BYTES}, {"data": TEXT}) == {"nope": "unknown argument"}
    assert problems(of_bytes, {"more": BYTES}) == {"data": "missing"}


@pytest.mark.parametrize(
    ("function", "value", "problem"),
    [
        (of_short, BYTES, "Expected `bytes` of length <= 3"),
        (of_bytes, FLOATS, "Expected `bytes`, got `array`"),
        (of_array, BYTES, "Expected `numpy.ndarray`, got `str`"),
    ],
)
def test_what_does_not_fit_is_refused(function: Any, value: Any, problem: str) -> None:
    assert problems(function, {"data": value}) == {"data": problem}


def test_what_json_cannot_say_is_refused_too() -> None:
    assert problems(of_list, {"data": FLOATS * 1j}) == {
        "args": "Expected `array`, got `numpy.ndarray`"
    }

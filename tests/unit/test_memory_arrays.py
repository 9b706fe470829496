"""Arrays as bytes and back, and where they are asked for by name."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.messages.memory.arrays import array_of, bytes_of, hook, is_array

DTYPES = ["?", "i1", "<i2", ">i4", "u8", "f2", "f4", ">f8", "c8", "c16", "S3", "U2", "M8[s]", "m8"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (1, 2, 3, 1), (0,), (2, 0, 3)])
def test_an_array_comes_back_as_it_was(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    assert is_array(array)
    back = array_of(bytearray(bytes_of(array)), array.dtype.str, array.shape)
    assert (back.dtype, back.shape) == (array.dtype, shape)
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-2],
        np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
        np.broadcast_to(np.float32(1.5), (3, 4)),
    ],
)
def test_an_array_in_any_order_arrives_in_the_order_of_c(array: Any) -> None:
    back = array_of(bytearray(bytes_of(array)), array.dtype.str, array.shape)
    np.testing.assert_array_equal(back, array)


def test_the_bytes_of_an_array_in_order_are_not_copied() -> None:
    array = np.zeros(4, "u1")
    bytes_of(array)[0] = 7
    assert array[0] == 7


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, "i4,f4"),
        np.zeros(2, "V3"),
        np.zeros(2, np.longdouble),
        np.ma.masked_array([1.0], [True]),
        np.float64(1.0),
        [1.0],
        memoryview(b""),
    ],
)
def test_what_its_bytes_do_not_tell_is_no_array_to_be_sent(value: Any) -> None:
    assert not is_array(value)


def test_an_array_that_cannot_be_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="reshape"):
        array_of(bytearray(8), "<f4", (3,))
    with pytest.raises(ValueError, match="not understood"):
        array_of(bytearray(8), "<f9", (1,))


F32 = NDArray[np.float32]


@pytest.mark.parametrize(
    ("type_", "sent", "dtype"),
    [
        (np.ndarray, [1, 2], np.int64),
        (np.ndarray, [[1.5], [None]], np.float64),
        (np.ndarray | None, [1.5], np.float64),
        (F32, [1, None], np.float32),
        (NDArray[np.floating[Any]], [1.5], np.float64),
        (NDArray[Any], ["a"], np.dtype("U1")),
        (NDArray[np.datetime64], ["2020-01-01"], np.dtype("M8[D]")),
    ],
)
def test_a_list_becomes_the_array_that_is_asked_for(type_: Any, sent: Any, dtype: Any) -> None:
    made = msgspec.json.decode(msgspec.json.encode(sent), type=type_, dec_hook=hook)
    assert type(made) is np.ndarray
    assert made.dtype == dtype
    assert made.shape == np.shape(sent)


def test_an_array_gets_the_dtype_that_is_asked_for() -> None:
    made = msgspec.convert(np.arange(3), F32, dec_hook=hook)
    assert made.dtype == np.float32
    same = np.zeros(3, "f4")
    assert msgspec.convert(same, F32, dec_hook=hook) is same


@pytest.mark.parametrize("sent", [{}, "AAAA", 1, [[1], [1, 2]], [{}]])
def test_what_is_no_array_is_named_as_what_it_is(sent: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(sent), type=np.ndarray, dec_hook=hook)


class Custom:
    pass


def test_other_types_are_left_alone() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `.*Custom`, got `list`"):
        msgspec.json.decode(b"[1]", type=Custom, dec_hook=hook)

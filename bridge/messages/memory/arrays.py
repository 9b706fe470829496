"""numpy's arrays, where there are any: numpy is imported when one has arrived, and not before."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any

from bridge.messages.memory import Type, item_size

Buffer = Any
"""What has bytes to be read or written: `collections.abc.Buffer` of Python 3.12."""


@cache
def types_taken() -> list[Type]:
    """The types of values that this process can take from memory."""
    return ["bytes", "ndarray"] if _is_installed() else ["bytes"]


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("numpy") is not None
    except (ImportError, ValueError):  # it is there in name only
        return False


def is_array(value: object) -> bool:
    """Whether a value is an array whose bytes say all of it: one of a subclass may say more."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not getattr(numpy, "ndarray", None):
        return False
    try:
        item_size(typing.cast("Any", value).dtype.str)
    except ValueError:
        return False
    return True


def bytes_of(array: Any) -> Buffer:
    """An array's bytes in C order, copied only if they are in another one."""
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    return array.reshape(-1).view("u1")


def array_of(data: Buffer, dtype: str, shape: Sequence[int]) -> Any:
    """An array over a buffer that is its own; raise `ValueError` if numpy cannot make it."""
    try:
        numpy = importlib.import_module("numpy")
    except ImportError as error:
        raise ValueError(f"numpy cannot be imported: {error}") from None
    try:
        if not len(data):
            return numpy.empty(shape, dtype)
        return numpy.frombuffer(data, dtype).reshape(shape)
    except TypeError as error:
        raise ValueError(str(error)) from None


def hook(type_: Any, value: object) -> object:
    """For msgspec's decoders: an array where an array is asked for and a list was sent.

    It has the dtype that `type_` names, if it names one: `NDArray[np.float32]`.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or numpy.ndarray not in (type_, typing.get_origin(type_)):
        return value
    if not isinstance(value, list | numpy.ndarray):
        return value
    array = numpy.asarray(value, _dtype_named(numpy, type_))
    # Nulls stand for NaNs, which JSON cannot say.
    return numpy.asarray(value, float) if array.dtype.hasobject else array


def _dtype_named(numpy: Any, type_: Any) -> Any:
    for dtype in typing.get_args(type_)[1:2]:
        for scalar in typing.get_args(dtype):
            if scalar in numpy.sctypeDict.values():  # not `Any`, nor a kind such as `floating`
                return scalar
    return None

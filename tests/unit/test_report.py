"""What is told of an exception, when there is hardly memory left to tell it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest

from bridge.report import report


class Table:
    """Something large that a command holds."""


def run_out(tables: list[weakref.ref[Table]]) -> None:
    table = Table()
    tables.append(weakref.ref(table))
    raise MemoryError


def run_out_and_say_otherwise(tables: list[weakref.ref[Table]]) -> None:
    table = Table()
    tables.append(weakref.ref(table))
    try:
        run_out(tables)
    except MemoryError as error:
        raise LookupError("no room") from error


@pytest.mark.parametrize("command", [run_out, run_out_and_say_otherwise])
def test_what_a_command_held_when_memory_ran_out_is_let_go(
    command: Callable[..., Any],
) -> None:
    tables: list[weakref.ref[Table]] = []
    with pytest.raises((MemoryError, LookupError)) as caught:
        command(tables)
    told = report(1, caught.value)
    assert command.__name__ in (told.traceback or "")
    assert [table() for table in tables] == [None] * len(tables)


def test_a_chain_of_exceptions_without_an_end_is_told() -> None:
    error = MemoryError("no more")
    error.__cause__ = error
    assert report(1, error).error == "no more"

"""What a scripted child can be asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeGuard

Command = Callable[[dict[str, Any]], object]
"""Takes the arguments and returns the result, or raises what the command fails of. A generator
function makes a stream."""

Stream = Callable[[dict[str, Any]], Generator[object, Any, Any]]


def count(args: dict[str, Any]) -> Generator[object, Any, Any]:
    """Give `n` items."""
    for i in range(args["n"]):
        yield {"i": i}


BUILT_IN: dict[str, Command] = {
    "echo": lambda args: args,
    "sleep": lambda args: {"slept": args["seconds"]},
    "count": count,
}


def is_stream(command: Command) -> TypeGuard[Stream]:
    """Whether a command gives items."""
    return inspect.isgeneratorfunction(command)


def in_batch(command: Command) -> Command:
    """A command as it is called in a batch, which no stream can be."""

    def refuse(args: dict[str, Any]) -> object:
        raise RuntimeError("a stream cannot be called in a batch")

    return refuse if is_stream(command) else command

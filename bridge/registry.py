"""`Bridge`: what a bridge's author writes commands on."""

from __future__ import annotations

import inspect
import threading
import time
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from bridge.arguments import Arguments

F = TypeVar("F", bound=Callable[..., Any])
Adopt = Callable[[str, str, str, Any], None]
Drop = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A function that a pool can call by name; a stream is a generator, `async` or not."""

    name: str
    function: Callable[..., Any]
    arguments: Arguments
    is_async: bool
    is_stream: bool

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> Command:
        """Read the signature of `function`."""
        yields_async = inspect.isasyncgenfunction(function)
        return cls(
            name,
            function,
            Arguments(name, function),
            is_async=yields_async or inspect.iscoroutinefunction(function),
            is_stream=yields_async or inspect.isgeneratorfunction(function),
        )


@dataclass(slots=True)
class Tally:
    """What this process has served so far."""

    commands: int = 0
    errors: int = 0
    born: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def uptime(self) -> float:
        """Seconds since the bridge was made."""
        return time.monotonic() - self.born

    def count_errors(self, number: int) -> None:
        """Count failed calls, on whichever thread they failed."""
        with self._lock:
            self.errors += number

    def reset(self) -> tuple[int, int]:
        """Set the counts to nought and return what they were."""
        with self._lock:
            counts = (self.commands, self.errors)
            self.commands = self.errors = 0
        return counts


class Bridge:
    """A set of commands, and what is to happen before the first of them.

    ::

        bridge = Bridge()

        @bridge.on_start
        def load(options: Options) -> None: ...

        @bridge.command
        def classify(text: str, top_k: int = 3) -> list[Label]: ...

    Commands may be plain functions, `async def`, generators or async
    generators; the last two stream their items. Arguments are validated
    against the annotations (any type msgspec knows) before the command runs.

    Calls come one at a time, plain ones on the main thread, unless the pool
    sends more. Then plain functions and generators run on threads, the others
    as tasks of one event loop, and what they share is theirs to guard. A
    cancelled call raises `asyncio.CancelledError` where it awaits; a stream is
    closed at its next item; a plain function runs to its end.
    """

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._commands: dict[str, Command] = {}
        self._preload: list[StartFunction] = []
        self._on_start: list[StartFunction] = []
        self._adopt: Adopt | None = None
        self._drop: Drop | None = None
        self.tally = Tally()

    def command(self, function: F) -> F:
        """Register `function` under its own name."""
        self._functions[function.__name__] = function
        return function

    def preload(self, function: F) -> F:
        """Run once per template, before it forks: imports and read-only tables, to be shared.

        It takes what `on_start` takes, and must leave no thread running and no
        descriptor open. A worker that is spawned runs it before `on_start`.
        """
        self._preload.append(StartFunction(function))
        return function

    def on_start(self, function: F) -> F:
        """Run once per worker, before its first command; plain or `async def`.

        It takes nothing, or the pool's `options` decoded into the type of its
        one parameter.
        """
        self._on_start.append(StartFunction(function))
        return function

    def on_define(self, function: Adopt) -> Adopt:
        """Called as `(session, key, version, definition)` when another worker defined `key`.

        On the main thread, also while calls run on others.
        """
        self._adopt = function
        return function

    def on_forget(self, function: Drop) -> Drop:
        """Called as `(session, key)` when another forgot `key`; None is the whole session.

        On the main thread, also while calls run on others.
        """
        self._drop = function
        return function

    @property
    def names(self) -> list[str]:
        """The names of all commands, in the order of registration."""
        return list(self._functions)

    @property
    def capabilities(self) -> list[str]:
        """The optional parts of the wire that this bridge speaks."""
        define = ["define"] if self._adopt is not None else []
        return [*define, "concurrent", "cancel", "credit", "batch"]

    @property
    def start_functions(self) -> list[StartFunction]:
        """What start-up runs, in order."""
        return [*self._preload, *self._on_start]

    def take_preload(self) -> list[StartFunction]:
        """What a template runs before it forks; start-up does not run it again."""
        taken, self._preload = self._preload, []
        return taken

    def find(self, name: str) -> Command | None:
        """Return the command called `name`, its signature read on first use."""
        command = self._commands.get(name)
        if command is None and name in self._functions:
            command = self._commands[name] = Command.of(name, self._functions[name])
        return command

    def check_signatures(self) -> None:
        """Raise `TypeError` or `NameError` if the signature of a function cannot be read."""
        for name in self._functions:
            self.find(name)
        for function in self.start_functions:
            function.prepare()

    def adopt(self, session: str, key: str, version: str, definition: Raw) -> None:
        """Take over a definition that another worker made."""
        if self._adopt is not None:
            self._adopt(session, key, version, msgspec.json.decode(definition))

    def drop(self, session: str, key: str | None) -> None:
        """Drop what another worker forgot: a key, or all of the session."""
        if self._drop is not None:
            self._drop(session, key)


class StartFunction:
    """A function of start-up, and how its options are read."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__
        self._function = function

    @cached_property
    def _decode(self) -> Callable[[bytes], Any] | None:
        parameters = list(inspect.signature(self._function).parameters.values())
        if not parameters:
            return None
        hints = typing.get_type_hints(self._function, include_extras=True)
        return msgspec.json.Decoder(hints.get(parameters[0].name, Any)).decode

    def prepare(self) -> None:
        """Read the signature now rather than at the first call."""
        _ = self._decode

    def __call__(self, options: bytes) -> Any:
        """Call the function, with its options where it takes them.

        Raises `msgspec.ValidationError` where they do not fit.
        """
        return self._function() if self._decode is None else self._function(self._decode(options))

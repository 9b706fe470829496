"""Arguments checked against a function's signature before it is called."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bridge.messages.memory.arrays import hook
from bridge.messages.memory.large import with_members

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_as_members = msgspec.json.Decoder(dict[str, Raw])

SESSION = "session_id"


class ArgumentError(ValueError):
    """One or more arguments are missing, unknown or of the wrong type.

    `problems` holds `{"path": ..., "problem": ...}` for each of them.
    """

    def __init__(self, command: str, problems: list[dict[str, str]]) -> None:
        listed = "; ".join(f"{p['path']}: {p['problem']}" for p in problems)
        super().__init__(f"{command}: {listed}")
        self.problems = problems


class Arguments:
    """The arguments of one command, from JSON to keyword arguments.

    Annotations are msgspec types; a parameter without one takes anything. A
    member that the function does not name is refused unless it takes
    `**extra`; `session_id` alone is accepted everywhere and dropped.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        hints = typing.get_type_hints(function, include_extras=True)
        self._parameters: dict[str, inspect.Parameter] = {}
        self._types: dict[str, Any] = {}
        self._extra: msgspec.json.Decoder[dict[str, Any]] | None = None
        self._extra_type: Any = Any
        for parameter in inspect.signature(function).parameters.values():
            self._add(parameter, hints.get(parameter.name, Any))
        self._whole = self._whole_decoder(self._is_required)

    def _add(self, parameter: inspect.Parameter, annotation: Any) -> None:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            self._extra = msgspec.json.Decoder(dict[str, annotation], dec_hook=hook)
            self._extra_type = annotation
        elif parameter.kind in _NAMED:
            self._parameters[parameter.name] = parameter
            self._types[parameter.name] = annotation
        else:
            raise TypeError(
                f"command {self._name!r}: parameter {parameter.name!r} cannot be passed by name"
            )

    def _is_required(self, name: str) -> bool:
        return self._parameters[name].default is inspect.Parameter.empty

    @cached_property
    def _some(self) -> Arguments:
        """The same arguments where any of them may be missing from the JSON."""
        some = copy.copy(self)
        some._whole = self._whole_decoder(lambda _: False)
        return some

    def _whole_decoder(self, is_required: Callable[[str], bool]) -> msgspec.json.Decoder[Any]:
        fields: list[Any] = []
        for name in self._parameters:
            if is_required(name):
                fields.append((name, self._types[name]))
            else:
                fields.append((name, typing.Union[self._types[name], UnsetType], UNSET))  # noqa: UP007
        if SESSION not in self._parameters:
            fields.append((SESSION, typing.Union[Any, UnsetType], UNSET))  # noqa: UP007
        refuse_unknown = self._extra is None
        struct = msgspec.defstruct(
            "Arguments", fields, kw_only=True, forbid_unknown_fields=refuse_unknown
        )
        return msgspec.json.Decoder(struct, dec_hook=hook)

    def decode(self, args: bytes, outside: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return keyword arguments for the function, or raise `ArgumentError`.

        Values that came `outside` the JSON are given as they are, or what a
        parameter's type makes of them: the same as if they had come inside.
        """
        if outside:
            return self._decode_with(outside, args)
        extra: dict[str, Any] = {}
        try:
            if self._extra is not None:
                extra = self._extra.decode(args)
                if not self._parameters:
                    return extra
            values = self._whole.decode(args)
        except msgspec.ValidationError as error:
            raise ArgumentError(self._name, list(self._problems(args, error))) from None
        named = {name: getattr(values, name) for name in self._parameters}
        for name, value in named.items():
            if value is UNSET:
                extra.pop(name, None)
            else:
                extra[name] = value
        return extra

    def _decode_with(self, outside: Mapping[str, Any], args: bytes) -> dict[str, Any]:
        try:
            given = self._some.decode(args)
            given.update((name, self._fit(name, value)) for name, value in outside.items())
            if all(name in given for name in filter(self._is_required, self._parameters)):
                return given
            problem = "an argument is missing"
        except (ArgumentError, msgspec.ValidationError) as error:
            problem = str(error)
        # A list of numbers rather than an array may be asked for, or base64 text. Where nothing
        # fits, the error tells all that is wrong.
        try:
            whole = with_members(args, outside)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ArgumentError(self._name, [{"path": "args", "problem": problem}]) from None
        return self.decode(whole)

    def _fit(self, name: str, value: Any) -> Any:
        if name not in self._types and self._extra is None:
            raise msgspec.ValidationError(f"unknown argument {name}")
        type_ = self._types.get(name, self._extra_type)
        return msgspec.convert(value, type_, dec_hook=hook)

    def _problems(self, args: bytes, first: msgspec.ValidationError) -> Iterator[dict[str, str]]:
        """Look at each argument alone: the decoder stops at the first mistake."""
        members = _as_members.decode(args)
        found = False
        for name, parameter in self._parameters.items():
            problem = self._problem(members.get(name), self._types[name], parameter)
            if problem is not None:
                found = True
                yield {"path": name + problem[0], "problem": problem[1]}
        if self._extra is None:
            for name in members.keys() - self._parameters.keys() - {SESSION}:
                found = True
                yield {"path": name, "problem": "unknown argument"}
        if not found:
            yield {"path": "args", "problem": str(first)}

    @staticmethod
    def _problem(
        raw: Raw | None, type_: Any, parameter: inspect.Parameter
    ) -> tuple[str, str] | None:
        if raw is None:
            return ("", "missing") if parameter.default is parameter.empty else None
        try:
            msgspec.json.decode(raw, type=type_, dec_hook=hook)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$")
            return path.rstrip("`"), text
        return None

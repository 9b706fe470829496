"""Arguments are checked whole: each bad one is named, and nothing runs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bridge import ArgumentError, Bridge
from bridge.arguments import Arguments


class Point(msgspec.Struct):
    x: int
    y: int = 0


def plain(text: str, top_k: int = 3, *, point: Point | None = None) -> None: ...
def open_ended(name: str, limit: int = 1, **extra: Any) -> None: ...
def session_aware(session_id: str = "none") -> None: ...
def untyped(anything) -> None: ...  # type: ignore[no-untyped-def]


def decode(function: Any, args: object) -> dict[str, Any]:
    return Arguments(function.__name__, function).decode(msgspec.json.encode(args))


def problems(function: Any, args: object) -> dict[str, str]:
    with pytest.raises(ArgumentError) as caught:
        decode(function, args)
    return {problem["path"]: problem["problem"] for problem in caught.value.problems}


def test_arguments_become_the_annotated_types() -> None:
    assert decode(plain, {"text": "a", "point": {"x": 1}}) == {"text": "a", "point": Point(1)}


def test_what_is_left_out_is_left_to_the_default() -> None:
    assert decode(plain, {"text": "a"}) == {"text": "a"}


def test_every_bad_argument_is_named() -> None:
    found = problems(plain, {"top_k": "many", "point": {"x": "?"}, "nope": 1})
    assert found == {
        "text": "missing",
        "top_k": "Expected `int`, got `str`",
        "point.x": "Expected `int`, got `str`",
        "nope": "unknown argument",
    }


def test_the_message_names_the_command_and_each_field() -> None:
    with pytest.raises(ArgumentError, match=r"plain: text: missing; top_k: Expected"):
        decode(plain, {"top_k": "x"})


def test_session_id_is_accepted_everywhere_and_dropped_where_it_is_not_named() -> None:
    assert decode(plain, {"text": "a", "session_id": "s"}) == {"text": "a"}
    assert decode(session_aware, {"session_id": "s"}) == {"session_id": "s"}


def test_extra_takes_what_is_not_named() -> None:
    assert decode(open_ended, {"name": "n", "more": [1]}) == {"name": "n", "more": [1]}
    assert problems(open_ended, {"limit": "x", "more": 1}) == {
        "name": "missing",
        "limit": "Expected `int`, got `str`",
    }


def test_a_parameter_without_annotation_takes_anything() -> None:
    assert decode(untyped, {"anything": {"a": [1]}}) == {"anything": {"a": [1]}}


def test_positional_only_parameters_are_refused_when_the_bridge_is_loaded() -> None:
    bridge = Bridge()

    @bridge.command
    def bad(a: int, /) -> None: ...

    with pytest.raises(TypeError, match=r"'bad'.*'a' cannot be passed by name"):
        bridge.check_signatures()

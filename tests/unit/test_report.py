"""What a bridge says of an error: no secrets, within bounds, always JSON, short of memory too."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from bridge.messages import MAX_ERROR_DETAILS, MAX_ERROR_TEXT, to_json
from bridge.report import report
from bridge.secrets import keep_secret, secrets


class Told(Exception):
    def __init__(self, text: str, details: Any = None) -> None:
        super().__init__(text)
        self.details = details


def said(error: Exception) -> dict[str, Any]:
    """The reply as it is on the wire."""
    try:
        raise error
    except Exception as raised:
        found: dict[str, Any] = json.loads(to_json(report(1, raised)))
        return found


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "hush-hush-hush")
    monkeypatch.setenv("NUMERIC_KEY", "12345678")
    monkeypatch.setenv("JSON_KEY", '"a": "bcd"')


def test_secrets_of_the_environment_are_hidden_in_every_member() -> None:
    details = {"said": ["hush-hush-hush"], "hush-hush-hush": 12345678, "a": "bcd"}
    reply = said(Told("hush-hush-hush 12345678", details))
    assert (reply["error"], reply["details"]) == (
        "[hidden] [hidden]",
        {"said": ["[hidden]"], "[hidden]": 12345678, "a": "bcd"},
    )
    assert "hush" not in str(reply["traceback"])


def test_the_name_of_an_error_is_looked_through_too() -> None:
    kind = type("Error_hush-hush-hush", (Told,), {})
    assert said(kind("no"))["error_type"] == "Error_[hidden]"


def test_what_was_kept_and_carried_is_hidden_too() -> None:
    keep_secret("pin7")
    secrets.learn_arguments(b'{"id":1,"command":"c","args":{"api_key":"key-of-a-call"}}')
    assert said(Told("pin7 key-of-a-call"))["error"] == "[hidden] [hidden]"


def test_the_end_of_a_long_text_is_kept_and_no_part_of_a_secret() -> None:
    text = "x" * 100 + "hush-hush-hush" + "y" * (MAX_ERROR_TEXT - 7)
    assert said(Told(text))["error"] == "[hidden]" + "y" * (MAX_ERROR_TEXT - 7)


def test_details_that_are_too_long_or_cannot_be_said_are_left_out() -> None:
    for details in ("x" * MAX_ERROR_DETAILS, object()):
        assert "details" not in said(Told("no", details))


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


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    @property
    def details(self) -> object:
        raise RuntimeError("no details")


def test_an_error_that_cannot_be_put_into_words_is_reported() -> None:
    reply = said(Wordless())
    assert reply["error_type"] == "Wordless"
    assert reply["error"] == "it cannot be put into words: RuntimeError"

"""What the pool says, as the bridge reads it."""

from __future__ import annotations

import pytest

from bridge.messages import Failure
from bridge.requests import Cancel, Credit, Ignored, Request, read


def request(payload: bytes) -> Request:
    made = read(payload)
    assert isinstance(made, Request)
    return made


def test_a_request_has_an_id_a_command_and_an_object() -> None:
    made = request(b'{"id":7,"command":"c","args":{"a":1},"credit":3}')
    assert (made.id, made.command, made.args, made.credit) == (7, "c", b'{"a":1}', 3)
    assert request(b'{"id":7,"command":"c","args":null}').args == b"{}"
    assert request(b'{"id":7,"command":"c"}').credit is None


@pytest.mark.parametrize(
    ("members", "session"),
    [
        (b'"args":{}', "anonymous"),
        (b'"args":{"session_id":"s"}', "s"),
        (b'"args":{"session_id":null}', "anonymous"),
        (b'"batch":[]', "anonymous"),
        (b'"batch":[{"session_id":"s"},{"session_id":"t"}]', "s"),
        (b'"batch":[{"session_id":5}]', "anonymous"),
        (b'"batch":["session_id"]', "anonymous"),
    ],
)
def test_the_session_is_an_argument(members: bytes, session: str) -> None:
    assert request(b'{"id":7,"command":"c",%b}' % members).session == session


@pytest.mark.parametrize(
    ("payload", "call_id"),
    [
        (b'{"command":"c"}', None),
        (b'{"id":null,"command":"c"}', None),
        (b'{"id":null,"command":"$cancel","args":{"id":1}}', None),
        (b'{"id":7,"command":"c","args":{"session_id":5}}', 7),
        (b'{"id":7,"command":"c","batch":5}', 7),
        (b'{"id":7,"command":"c","credit":-1}', 7),
    ],
)
def test_what_is_no_request_is_answered(payload: bytes, call_id: int | None) -> None:
    made = read(payload)
    assert isinstance(made, Failure)
    assert (made.id, made.error_type) == (call_id, "BadRequest")


def test_what_is_about_other_calls_has_no_id() -> None:
    assert read(b'{"command":"$cancel","args":{"id":1}}') == Cancel(1)
    assert read(b'{"command":"$credit","args":{"id":1,"items":2}}') == Credit(1, 2)
    assert isinstance(read(b'{"id":1,"command":"$cancel","args":{"id":1}}'), Request)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"command":"$new"}', "'$new' is not known"),
        (b'{"command":"$cancel"}', "$cancel: Expected `object`, got `null`"),
        (b'{"command":"$cancel","args":{"id":"x"}}', "$cancel: Expected `int`, got `str`"),
        (b'{"command":"$credit","args":{"id":1}}', "$credit: Object missing"),
        (b'{"command":"$credit","args":{"id":1,"items":-1}}', "$credit: Expected `int` >= 0"),
        (b'{"command":"$%b"}' % (b"x" * 1000), "$" + "x" * 99 + "' is not known"),
    ],
)
def test_what_cannot_be_obeyed_is_ignored_with_a_reason(payload: bytes, why: str) -> None:
    made = read(payload)
    assert isinstance(made, Ignored)
    assert why in made.why
    assert len(made.why) < 300


def test_a_request_that_waits_may_be_cancelled_and_given_credit() -> None:
    made = request(b'{"id":7,"command":"c","credit":1}')
    made.grant(2)
    made.cancel()
    assert (made.credit, made.cancelled) == (3, True)
    without = request(b'{"id":7,"command":"c"}')
    without.grant(2)
    assert without.credit is None

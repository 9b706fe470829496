"""Requests before they are sent, replies as results."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Raw

from bridge.messages import (
    MAX_ERROR_DETAILS,
    MAX_ERROR_TEXT,
    MAX_FORGET,
    MAX_NAME,
    Definition,
    Reply,
    changes_in,
)
from bridge.messages.secrets import Secrets
from pool.errors import RemoteError, RequestError, ResultTypeError
from pool.exchange.calls import encode_request, prepare
from pool.exchange.requests import capabilities
from pool.exchange.results import decode_reply, result_of
from pool.sessions import NO_NEWS, News

LIMIT = 1024
NONE = Secrets()


class Args(msgspec.Struct):
    text: str


@dataclass
class Plain:
    text: str


@pytest.mark.parametrize("args", [{"text": "a"}, Args("a"), Plain("a")])
def test_mappings_structs_and_dataclasses_are_arguments(args: object) -> None:
    assert json.loads(bytes(prepare("c", args, None, LIMIT).args)) == {"text": "a"}


@pytest.mark.parametrize(
    ("args", "session", "sent", "kept"),
    [
        (None, None, {}, "anonymous"),
        (None, "s", {"session_id": "s"}, "s"),
        ({"a": 1}, "s", {"session_id": "s", "a": 1}, "s"),
        ({"session_id": "s"}, None, {"session_id": "s"}, "s"),
        ({"session_id": "s"}, "s", {"session_id": "s"}, "s"),
    ],
)
def test_the_session_is_an_argument(
    args: Any, session: str | None, sent: dict[str, Any], kept: str
) -> None:
    prepared = prepare("c", args, session, LIMIT)
    assert (json.loads(bytes(prepared.args)), prepared.session) == (sent, kept)


def test_a_session_that_is_named_twice_is_sent_once() -> None:
    args = bytes(prepare("c", {"session_id": "s"}, "s", LIMIT).args)
    assert args == b'{"session_id":"s"}'


class Broken:
    def model_dump(self, **_: Any) -> object:
        raise ZeroDivisionError("which may quote the arguments")


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("command", "args", "session", "said"),
    [
        ("c", Broken(), None, "^c: the arguments cannot be encoded: ZeroDivisionError was raised"),
        ("", {}, None, "a command is a name"),
        (5, {}, None, "a command is a name"),
        ("\ud800", {}, None, "must be Unicode"),
        ("c", {}, "\ud800", "must be Unicode"),
        ("c", [1], None, "^c: args must be a mapping or struct, not <class 'list'>"),
        ("c", object(), None, "^c: the arguments cannot be encoded: .* type object"),
        ("c", {"x": "\ud800"}, None, "^c: the arguments cannot be encoded: .*surrogates"),
        ("c", {"x": nested(50_000)}, None, "^c: the arguments cannot be encoded: .*too deeply"),
        ("c", {"x": "y" * LIMIT}, None, "^c: .*1032 bytes, .*max_frame_bytes=1024; send less"),
        ("c", {"session_id": "one"}, "two", "^c: `session` is given, and .*another"),
        ("c", {"session_id": 5}, None, r"session_id: \w+ "),
    ],
)
def test_what_cannot_be_sent_is_a_request_error(
    command: Any, args: Any, session: str | None, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        prepare(command, args, session, LIMIT)


def test_arguments_may_be_as_large_as_a_frame() -> None:
    assert len(bytes(prepare("c", {"a": 1}, None, 7).args)) == 7
    with pytest.raises(RequestError):
        prepare("c", {"a": 1}, None, 6)


def test_a_plain_request_has_no_members_that_a_foreign_bridge_need_know() -> None:
    payload = encode_request(7, prepare("c", {"a": 1}, None, LIMIT), NO_NEWS)
    assert json.loads(payload) == {"id": 7, "command": "c", "args": {"a": 1}}


def test_a_request_brings_the_news_along() -> None:
    news = News(["s1"], ["k1"], [Definition("k2", "1", Raw(b"{}"))])
    sent = json.loads(encode_request(7, prepare("c", {}, None, LIMIT), news))
    assert (sent["forget_sessions"], sent["forget"]) == (["s1"], ["k1"])
    assert sent["define"] == [{"key": "k2", "version": "1", "definition": {}}]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no",
        b"[]",
        b'{"id":"1","success":true}',
        b'{"id":1,"success":1}',
        b'{"id":1,"success":true,"result":NaN}',
        b'{"id":1,"success":true,"x":' + b"[" * 100_000,
        b'{"id":1,"success":true',
    ],
)
def test_a_frame_that_is_no_reply_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w+ `?\w+"):  # any words will do
        decode_reply(payload)


def test_a_reply_says_how_it_went_or_what_happened() -> None:
    with pytest.raises(ValueError, match="neither `success` nor `event`"):
        decode_reply(b'{"id":1}')


def test_an_event_is_a_reply_too() -> None:
    assert decode_reply(b'{"id":1,"event":"item"}').event == "item"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":1,"success":false,"error":{"code":5},"traceback":["a"],"error_type":7}',
        b'{"id":1,"success":true,"define":"mine","forget":1,"wrapped":"no","event":null}',
    ],
)
def test_a_foreign_bridge_may_mean_something_else_by_our_members(payload: bytes) -> None:
    reply = decode_reply(payload)
    if reply.success:
        assert result_of(reply, "c", Any, NONE) is None
    else:
        with pytest.raises(RemoteError, match=r'7: {"code":5}'):
            result_of(reply, "c", Any, NONE)


def test_a_wrapped_result_is_unwrapped() -> None:
    reply = decode_reply(b'{"id":1,"success":true,"result":{"value":[1]},"wrapped":true}')
    assert result_of(reply, "c", list[int], NONE) == [1]
    foreign = decode_reply(b'{"id":1,"success":true,"result":{"value":[1]}}')
    assert result_of(foreign, "c", Any, NONE) == {"value": [1]}
    empty = decode_reply(b'{"id":1,"success":true,"result":{},"wrapped":true}')
    assert result_of(empty, "c", Any, NONE) is None


def test_a_failure_is_a_remote_error_with_all_it_says() -> None:
    reply = decode_reply(
        b'{"id":1,"success":false,"error":"no","error_type":"E","traceback":"t","details":{"a":1}}'
    )
    with pytest.raises(RemoteError, match=r"^E: no$") as caught:
        result_of(reply, "c", Any, NONE)
    assert (caught.value.details, caught.value.traceback) == ({"a": 1}, "t")


def test_a_failure_may_say_nothing() -> None:
    with pytest.raises(RemoteError, match="failure without saying which") as caught:
        result_of(decode_reply(b'{"id":1,"success":false}'), "c", Any, NONE)
    error = caught.value
    assert (error.error_type, error.traceback, error.details) == (None, None, None)


def test_a_type_that_cannot_be_hashed_is_a_type() -> None:
    assert result_of(Reply(1, True, Raw(b"1")), "c", Annotated[int, []], NONE) == 1
    with pytest.raises(ResultTypeError):
        result_of(Reply(1, True, Raw(b'"a"')), "c", Annotated[int, []], NONE)


@pytest.mark.parametrize("raw", [b"{no", b"[" * 100_000])
def test_a_result_that_is_no_json_is_kept_as_it_is(raw: bytes) -> None:
    with pytest.raises(ResultTypeError) as caught:
        result_of(Reply(1, True, Raw(raw)), "c", Any, NONE)
    assert caught.value.result == raw


def test_a_result_of_another_type_keeps_the_result() -> None:
    reply = Reply(1, True, Raw(b'{"a":"x"}'))
    with pytest.raises(ResultTypeError, match=r"c is not a .*: \w+ `?\w+") as caught:
        result_of(reply, "c", dict[str, int], NONE)
    assert caught.value.result == {"a": "x"}


# What a foreign bridge may say


def said(**members: Any) -> Reply:
    return decode_reply(json.dumps({"id": 1, "success": False, **members}).encode())


def remote(reply: Reply) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        result_of(reply, "c", Any, NONE)
    return caught.value


def test_a_long_text_is_cut_and_says_so() -> None:
    text = "begins" + "x" * 10 * MAX_ERROR_TEXT + "ends"
    error = remote(said(error=text, traceback=text, error_type=text))
    for kept in (error.message, error.traceback or ""):
        assert (kept[:7], kept[-5:]) == ("beginsx", "xends")
        assert f"[{len(text) - MAX_ERROR_TEXT} characters are left out]" in kept
        assert len(kept) < MAX_ERROR_TEXT + 100
    assert len(error.error_type or "") < 300
    assert remote(said(error_type="x" * 200)).error_type == "x" * 200
    assert "[1 characters" in (remote(said(error_type="x" * 201)).error_type or "")
    assert len(str(error)) < MAX_ERROR_TEXT + 500


def test_details_that_are_too_long_are_left_out() -> None:
    most = "x" * (MAX_ERROR_DETAILS - 2)
    assert remote(said(error="no", details=most)).details == most
    assert remote(said(error="no", details=["x" * MAX_ERROR_DETAILS])).details is None


@pytest.mark.parametrize("raw", [b"{no", b"[" * 10_000])
def test_details_that_make_no_sense_are_left_out(raw: bytes) -> None:
    assert remote(Reply(1, False, details=Raw(raw))).details is None


@pytest.mark.parametrize("said", [b"[" + b"[]," * 1_000_000 + b"[]]", b'"' + b"x" * 10**7 + b'"'])
def test_what_only_says_something_is_not_decoded_at_any_size(said: bytes) -> None:
    reply = decode_reply(b'{"id":1,"success":false,"error":' + said + b"}")
    tracemalloc.start()
    error = remote(reply)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.message.encode() == said[:MAX_ERROR_TEXT]
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("forget", "said_why"),
    [
        (["x"] * (MAX_FORGET + 1), "length <= 10000"),
        (["x" * (MAX_NAME + 1)], "length <= 1024"),
        (["x" * MAX_NAME] * MAX_FORGET, "longer than"),
    ],
)
def test_what_a_reply_forgets_is_bounded(forget: list[str], said_why: str) -> None:
    with pytest.raises(ValueError, match=said_why):
        changes_in(said(forget=forget))


@pytest.mark.parametrize("name", ["key", "version"])
def test_the_names_of_a_definition_are_bounded(name: str) -> None:
    definition = {"key": "k", "version": "v", "definition": {}, name: "x" * (MAX_NAME + 1)}
    with pytest.raises(ValueError, match="length <= 1024"):
        changes_in(said(define=definition))


def test_a_definition_does_not_keep_its_frame_in_memory() -> None:
    tracemalloc.start()
    changes = changes_in(said(define={"key": "k", "version": "v", "definition": {}}, x="x" * 10**7))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert changes is not None
    assert kept < 1_000_000


def test_a_handshake_that_lists_too_much_lists_nothing() -> None:
    assert capabilities(said(result={"capabilities": ["define"]})) == ["define"]
    assert capabilities(said(result={"capabilities": ["define"] * 10_000})) == []


def test_a_session_has_a_name_of_reasonable_length() -> None:
    assert prepare("c", {}, "s" * MAX_NAME, 10 * LIMIT).session == "s" * MAX_NAME
    for args, session in (({}, "s" * (MAX_NAME + 1)), ({"session_id": "s" * (MAX_NAME + 1)}, None)):
        with pytest.raises(RequestError, match="over 1024 characters"):
            prepare("c", args, session, 10 * LIMIT)


def test_a_reply_that_is_shown_does_not_show_what_it_says() -> None:
    reply = said(error="hush", error_type="hush", traceback="hush", details="hush", result="hush")
    assert repr(reply) == "<Reply 1 success=False>"

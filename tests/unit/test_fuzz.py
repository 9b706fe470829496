"""Arbitrary bytes from the other side: read or refused in words, never an accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from bridge import Bridge
from bridge.frames import DEFAULT_MAX_FRAME_BYTES, FrameDecoder, FrameTooLarge, encode
from bridge.messages import Failure, Reply, changes_in, to_json
from bridge.messages.secrets import Secrets
from bridge.messages.template import decode_from_template
from bridge.requests import Request
from bridge.requests import read as read_request
from bridge.serve import Identity, Server
from bridge.wire import Wire
from pool.clock import Clock
from pool.errors import RemoteError, ResultTypeError
from pool.exchange.calls import Prepared
from pool.exchange.conversation import MAX_STRAYS, Conversation
from pool.exchange.requests import capabilities
from pool.exchange.results import decode_reply, result_of

# Payloads

DEEP = b"[" * 100_000
WIDE = b'{"a":' * 100_000

MEMBERS = [
    *("id", "success", "result", "error", "error_type", "traceback", "details", "event", "data"),
    *("define", "forget", "forget_all", "wrapped", "timestamp", "capabilities", "value"),
    *("command", "args", "forget_sessions", "session_id", "initialization", "options", "text"),
    *("key", "version", "definition", "type", "number", "pid", "hazards", "returncode"),
    *("batch", "credit", "items", "concurrency"),
]

VALUES = [
    *(b"null", b"true", b"false", b"[]", b"{}", b'""', b'[""]', b'"x', b"[", b'{"a":1,"a":2}'),
    *(b"0", b"-0", b"1", b"-1", b"1.0", b"1e2", b"1e999", b"NaN", b"Infinity", b"9" * 5_000),
    *(b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616"),
    *(b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b"[" * 300 + b"]" * 300),
    *(b'"echo"', b'"text"', b'"ping"', b'"shutdown"', b'"loaded"', b'"forked"', b'"exited"'),
    *(b'{"key":"k","version":"v","definition":{}}', b'{"key":"k","version":1}'),
    *(b'["%s"]' % (b"x" * 2_000), b'{"key":"k","version":"v","definition":"\xff"}'),
    *(b'{"session_id":5}', b'{"session_id":"\\ud800"}', b'{"text":"x"}', b'{"text":"\xff"}'),
    *(b'"$cancel"', b'"$credit"', b'"$new"', b'{"id":1,"items":1}', b'[{"text":"x"},{}]'),
    *(b'{"options":[[1]]}', b'{"initialization":true,"options":5}', b'{"api_key":"\xff"}'),
]

names = st.sampled_from(MEMBERS)
tokens = st.sampled_from(VALUES)


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """JSON objects, or nearly, of members that mean something; some of them twice."""
    members = draw(st.lists(st.tuples(names, tokens), max_size=8))
    joined = b",".join(b'"' + name.encode() + b'":' + token for name, token in members)
    return b"{" + joined + b"}"


payloads = st.one_of(
    st.binary(max_size=200),
    objects(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
)


def fuzzed(function: Callable[..., None]) -> Callable[..., None]:
    for payload in (DEEP, WIDE, b'{"id":1,"success":true,"result":' + DEEP, b"", b"\xff"):
        function = example(payload)(function)
    return given(payloads)(function)


# Frames


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)), st.integers(0, 40))
def test_frames_are_the_same_however_the_bytes_were_cut(
    data: bytes, places: list[int], limit: int
) -> None:
    assert frames_in(cut(data, places), limit) == frames_in([data], limit)


@given(st.lists(st.binary(max_size=60)), st.lists(st.integers(0, 300)), st.integers(0, 40))
def test_frames_up_to_the_limit_come_out_whole_and_others_are_refused(
    sent: list[bytes], places: list[int], limit: int
) -> None:
    stream = b"".join(map(encode, sent))
    expected = [payload if len(payload) <= limit else len(payload) for payload in sent]
    assert frames_in(cut(stream, places), limit)[0] == expected


def frames_in(parts: list[bytes], limit: int) -> tuple[list[bytes | int], bytes]:
    """The payloads, with the length of a refused one in its place, and what is pending."""
    decoder, found = FrameDecoder(limit), list[bytes | int]()
    for part in parts:
        decoder.feed(part)
        while True:
            try:
                payload = decoder.next()
            except FrameTooLarge as error:
                found.append(error.length)
                continue
            if payload is None:
                break
            found.append(payload)
    return found, decoder.pending


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]


# The pool's side


def read(payload: bytes) -> Reply | None:
    try:
        return decode_reply(payload)
    except ValueError:
        return None


@fuzzed
def test_a_reply_is_read_or_a_value_error(payload: bytes) -> None:
    reply = read(payload)
    if reply is None:
        return
    texts = (reply.error, reply.error_type, reply.traceback, reply.event)
    assert all(text is None or isinstance(text, str) for text in texts)
    assert all(isinstance(flag, bool) for flag in (reply.wrapped, reply.forget_all))
    assert isinstance(capabilities(reply), list)


@fuzzed
def test_what_a_reply_changes_is_read_or_a_value_error(payload: bytes) -> None:
    reply = read(payload)
    if reply is not None:
        try:
            changes = changes_in(reply)
        except ValueError:
            return
        assert changes is None or all(len(key) <= 1024 for key in changes.forget)


@fuzzed
def test_a_reply_becomes_a_result_or_a_named_error(payload: bytes) -> None:
    reply = read(payload)
    for result_type in (Any, int, dict[str, int]):
        if reply is not None:
            with suppress(RemoteError, ResultTypeError):
                result_of(reply, "c", result_type, Secrets())


class Recorder:
    """A link that goes nowhere, and what the conversation says to its owner."""

    queued = sent = 0

    def __init__(self) -> None:
        self.replies = 0
        self.strays = 0
        self.nonsense: list[str] = []
        link: Any = SimpleNamespace(
            write=lambda frame: None, write_soon=lambda frame: None, queued=0, sent=0
        )
        partner: Any = SimpleNamespace(
            answered=self._answered,
            given_up=None,
            stray=self._stray,
            nonsense=self.nonsense.append,
        )
        self.conversation = Conversation(link, 1024, Secrets(), Clock(), partner)

    def _answered(self, call: object, reply: object) -> None:
        self.replies += 1

    def _stray(self) -> None:
        self.strays += 1

    def send(self) -> None:
        self.conversation.send(Prepared("c", b"{}", "s"))


@given(st.lists(payloads, max_size=5))
@example([DEEP])
@example([b'{"id":0,"success":true}', b'{"id":0,"success":true}', b'{"id":1,"success":true}'])
async def test_a_conversation_takes_anything_and_reports_nonsense_in_words(
    received: list[bytes],
) -> None:
    recorder = Recorder()
    recorder.send()
    for payload in received:
        recorder.conversation.receive(payload)
    items = sum(1 for reply in map(read, received) if reply and reply.id == 0 and reply.event)
    assert recorder.replies <= 1
    seen = recorder.replies + recorder.strays + len(recorder.nonsense)
    assert seen <= len(received) <= seen + items
    for words in recorder.nonsense:
        assert len(words) < 2_000
        words.encode()  # can be written to a log


async def test_second_answers_are_dropped_but_not_without_end() -> None:
    recorder = Recorder()
    answer = b'{"id":0,"success":true}'
    for _ in range(2):
        recorder.send()
    for _ in range(MAX_STRAYS + 1):
        recorder.conversation.receive(answer)
    assert recorder.nonsense == []
    recorder.conversation.receive(b'{"id":1,"success":true}')
    for _ in range(MAX_STRAYS):
        recorder.conversation.receive(answer)
    assert recorder.nonsense == []
    recorder.conversation.receive(answer)
    assert "1000 times in a row" in recorder.nonsense[0]


@fuzzed
def test_a_message_of_a_template_is_read_or_refused(payload: bytes) -> None:
    try:
        message = decode_from_template(payload)
    except (ValueError, RecursionError):
        return
    assert getattr(message, "pid", 2) > 1


# The bridge's side


class Sent(Wire):
    """A wire that keeps what is sent, encoded as it would be."""

    read_fd = 0
    memory = None
    max_frame_bytes = DEFAULT_MAX_FRAME_BYTES

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, message: Struct) -> None:
        self.messages.append(to_json(message))

    def send_parts(self, head: bytes, body: bytes, tail: bytes) -> None:
        self.messages.append(head + body + tail)


fuzz_target = Bridge()


@fuzz_target.command
def echo(**args: Any) -> dict[str, Any]:
    return args


@fuzz_target.command
def text(text: str) -> str:
    return text


@fuzzed
@example(b'{"id":1e2,"command":"echo"}')
@example(b'{"id":%d,"command":"echo"}' % 2**70)
@example(b'{"id":1,"command":"echo","args":{"a":%d}}' % 2**70)
@example(b'{"id":1,"command":"ping","args":{"initialization":%s}}' % (b"[" * 900 + b"]" * 900))
@example(b'{"id":1,"command":"ping","args":{"options":%s}}' % (b"[" * 900 + b"]" * 900))
@example(b'{"id":1,"command":"text","batch":[{"text":"a"},5,null,{"session_id":5}]}')
@example(b'{"command":"$cancel","args":{"id":"x"}}')
def test_every_frame_gets_exactly_one_answer(payload: bytes) -> None:
    read = read_request(payload)
    if not isinstance(read, (Request, Failure)):
        assert b'"$' in payload
        return
    reply = answer_to(read)
    assert reply["success"] in (True, False)
    assert reply["id"] is None or isinstance(reply["id"], int)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_an_id_of_64_bits_comes_back(number: int) -> None:
    read = read_request(b'{"id":%d,"command":"echo"}' % number)
    assert isinstance(read, Request)
    assert answer_to(read)["id"] == number


def answer_to(read: Request | Failure) -> Any:
    wire = Sent()
    stop: Any = SimpleNamespace(requested=False, fd=0)
    Server(fuzz_target, wire, stop, Identity("standalone", None)).handle(read)
    [answer] = wire.messages
    return json.loads(answer)

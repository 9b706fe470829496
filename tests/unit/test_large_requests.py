"""Requests with large arguments before and after their worker is known."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from bridge.messages import NULL, Reply
from bridge.messages.memory import LARGE
from bridge.messages.memory.files import KEPT
from bridge.messages.memory.large import Large
from pool.errors import RequestError
from pool.exchange.calls import Prepared, encode_request, prepare
from pool.exchange.large import Memory, outgoing
from pool.sessions import NO_NEWS

LIMIT = 4 * LARGE
DATA = os.urandom(LARGE + 1)
ARRAY = np.arange(LARGE, dtype="u2")


@pytest.fixture
def memory() -> Iterator[Memory]:
    closed: list[int] = []
    memory = Memory(os.memfd_create("test"), os.memfd_create("test"), LIMIT, closed.append)
    yield memory
    memory.close()
    assert closed == list(memory.fds)
    for fd in closed:
        os.close(fd)


def sent(memory: Memory | None, prepared: Prepared, call_id: int = 7) -> dict[str, Any]:
    rest, table = outgoing(memory, call_id, prepared)
    request: dict[str, Any] = json.loads(encode_request(call_id, rest, NO_NEWS, table))
    return request


def prepared_of(session: str | None = None, **args: Any) -> Prepared:
    return prepare("c", args, session, LIMIT)


def test_large_arguments_are_kept_as_they_are_until_a_worker_is_known() -> None:
    prepared = prepared_of(data=DATA, n=1)
    assert prepared.args == b'{"n":1}'
    assert prepared.large[0].value is DATA
    assert prepared_of(data=DATA[:-1], n=1).large == ()
    assert prepare("c", None, None, LIMIT).large == ()


def test_the_session_goes_with_the_rest() -> None:
    prepared = prepared_of("s", data=DATA)
    assert (prepared.args, prepared.session) == (b'{"session_id":"s"}', "s")


@pytest.mark.parametrize("args", [{"a": bytes(LIMIT + 1)}, {"a": DATA, "b": bytes(3 * LARGE)}])
def test_large_arguments_are_bounded_together(args: Any) -> None:
    with pytest.raises(RequestError, match=r"take \d+ bytes, more than max_frame_bytes"):
        prepare("c", args, None, LIMIT)


def test_where_there_is_no_memory_they_are_in_the_json() -> None:
    assert sent(None, prepared_of(data=DATA, n=1)) == {
        "id": 7,
        "command": "c",
        "args": {"data": base64.b64encode(DATA).decode(), "n": 1},
    }
    assert sent(None, prepared_of(a=ARRAY))["args"] == {"a": ARRAY.tolist()}


def test_nothing_goes_out_before_the_bridge_has_agreed(memory: Memory) -> None:
    assert "memory" not in sent(memory, prepared_of(data=DATA))
    memory.agree(["bytes"])
    assert "memory" in sent(memory, prepared_of(data=DATA))


def test_only_types_that_the_bridge_takes_go_out(memory: Memory) -> None:
    memory.agree(["bytes", "something new"])
    request = sent(memory, prepared_of(data=DATA, a=ARRAY))
    assert request["args"] == {"a": ARRAY.tolist()}
    assert [entry["at"] for entry in request["memory"]] == ["data"]


def test_the_table_tells_where_they_are(memory: Memory) -> None:
    memory.agree(["bytes", "ndarray"])
    request = sent(memory, prepared_of(data=DATA, n=1, a=ARRAY.reshape(2, -1)))
    assert request["args"] == {"n": 1}
    first, second = request["memory"]
    assert first == {"at": "data", "offset": 0, "size": LARGE + 1, "type": "bytes"}
    assert os.pread(memory.fds[0], first["size"], 0) == DATA
    assert (second["dtype"], second["shape"]) == ("<u2", [2, LARGE // 2])
    assert os.pread(memory.fds[0], second["size"], second["offset"]) == ARRAY.tobytes()


def test_an_answered_call_gives_its_place_to_the_next_one(memory: Memory) -> None:
    memory.agree(["bytes"])

    def place(call_id: int) -> Any:
        return sent(memory, prepared_of(data=DATA), call_id)["memory"][0]["offset"]

    first, second = place(1), place(2)
    memory.answered(1)
    assert place(3) == first != second


def test_what_json_cannot_say_is_a_request_error() -> None:
    with pytest.raises(RequestError, match=r"^c: the arguments cannot be encoded: .*complex"):
        sent(None, prepared_of(a=np.ones(LARGE // 8) * 1j))


def test_what_cannot_be_written_is_a_request_error(memory: Memory) -> None:
    memory.agree(["bytes"])
    reading = os.open(f"/proc/self/fd/{memory.fds[0]}", os.O_RDONLY)
    broken = Memory(reading, memory.fds[1], LIMIT, os.close)
    broken.agree(["bytes"])
    with pytest.raises(RequestError, match=r"^c: the arguments cannot be sent: Bad file"):
        sent(broken, prepared_of(data=DATA))
    os.close(reading)


def test_memory_that_is_closed_touches_no_descriptor() -> None:
    memory = Memory(os.memfd_create("test"), os.memfd_create("test"), LIMIT, os.close)
    memory.agree(["bytes"])
    memory.place(1, prepared_of(), [Large("a", bytes(2 * KEPT), "bytes", 2 * KEPT)])
    numbers = memory.fds
    memory.close()
    others = [os.memfd_create("others") for _ in numbers]
    assert set(others) == set(numbers)  # as the kernel hands them out
    for fd in others:
        os.ftruncate(fd, 4 * KEPT)
    memory.answered(1)
    with pytest.raises(RequestError, match="Bad file descriptor"):
        sent(memory, prepared_of(data=DATA), 2)
    table = b'[{"at":"a","offset":0,"size":1,"type":"bytes"}]'
    with pytest.raises(ValueError, match="Bad file descriptor"):
        memory.read(Reply(1, True, Raw(b"{}"), memory=Raw(table)))
    for fd in others:
        assert os.fstat(fd).st_size == 4 * KEPT
        assert os.pread(fd, 1, 0) == b"\0"
        os.close(fd)


def test_a_request_without_large_arguments_is_as_it_always_was(memory: Memory) -> None:
    memory.agree(["bytes"])
    prepared = prepared_of(n=1)
    assert outgoing(memory, 7, prepared) == (prepared, NULL)
    assert msgspec.json.decode(encode_request(7, prepared, NO_NEWS)) == {
        "id": 7,
        "command": "c",
        "args": {"n": 1},
    }

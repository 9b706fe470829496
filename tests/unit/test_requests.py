"""The pool's own requests, and what the handshake tells it."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from bridge.messages import Reply
from pool.exchange.calls import Prepared
from pool.exchange.requests import (
    MAX_HANDSHAKE,
    capabilities,
    catch_up,
    handshake,
    internal,
    memory_types,
    release,
    timings,
)


def said(request: Prepared) -> tuple[str, object, str]:
    return request.command, json.loads(bytes(request.args)), request.session


def test_an_internal_request_is_in_no_ones_session() -> None:
    assert said(internal("shutdown")) == ("shutdown", {}, "anonymous")
    assert said(internal("ping", {"a": 1})) == ("ping", {"a": 1}, "anonymous")


def test_the_handshake_says_who_the_worker_is() -> None:
    plain = {"initialization": True, "worker_id": "w-1"}
    assert said(handshake("w-1", None, 1)) == ("ping", plain, "anonymous")
    assert said(handshake("w-1", {}, 1)) == ("ping", {**plain, "options": {}}, "anonymous")
    assert said(handshake("w-1", {"a": 1}, 1))[1] == {**plain, "options": {"a": 1}}
    assert said(handshake("w-1", None, 8))[1] == {**plain, "concurrency": 8}
    assert said(handshake("w-1", None, 1, ["bytes"]))[1] == {**plain, "memory": ["bytes"]}


def test_catching_up_is_a_ping_in_the_session() -> None:
    assert said(catch_up("s")) == ("ping", {"session_id": "s"}, "s")


@pytest.mark.parametrize(
    ("result", "listed"),
    [
        (b'{"capabilities":["a","b"]}', ["a", "b"]),
        (b"{}", []),
        (b"null", []),
        (b'{"capabilities":"all"}', []),
        (b'{"x":' + b"[" * 30_000, []),
    ],
)
def test_what_a_bridge_can_do_is_what_it_lists(result: bytes, listed: list[str]) -> None:
    assert capabilities(Reply(1, True, Raw(result))) == listed


@pytest.mark.parametrize(
    ("result", "taken"),
    [
        (b'{"capabilities":["memory"],"memory":["bytes","b"]}', ["bytes", "b"]),
        (b'{"capabilities":["memory"]}', []),
        (b'{"capabilities":[],"memory":["bytes"]}', []),
        (b'{"capabilities":["memory"],"memory":"all"}', []),
    ],
)
def test_a_bridge_takes_what_it_says_from_memory_if_it_has_any(
    result: bytes, taken: list[str]
) -> None:
    assert memory_types(Reply(1, True, Raw(result))) == taken


def test_a_release_names_its_reply() -> None:
    assert json.loads(release(7)) == {"command": "$release", "args": {"id": 7}}


def test_a_handshake_is_read_up_to_its_bound() -> None:
    result = b'{"capabilities":["a"]}'
    at_most = result + b" " * (MAX_HANDSHAKE - len(result))
    assert capabilities(Reply(1, True, Raw(at_most))) == ["a"]
    assert capabilities(Reply(1, True, Raw(at_most + b" "))) == []
    assert MAX_HANDSHAKE == 65_536


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (b'{"timings":{"import":0.5,"start_up":2}}', (0.5, 2.0)),
        (b'{"timings":{"import":0.5,"other":true}}', (0.5, 0.0)),
        (b"{}", (0.0, 0.0)),
        (b"null", (0.0, 0.0)),
        (b'{"timings":5}', (0.0, 0.0)),
        (b'{"timings":{"import":-1}}', (0.0, 0.0)),
        (b'{"timings":{"import":1e12}}', (0.0, 0.0)),
        (b'{"timings":{"import":"long"}}', (0.0, 0.0)),
    ],
)
def test_how_long_a_bridge_took_to_start_is_what_it_tells(
    result: bytes, told: tuple[float, float]
) -> None:
    took = timings(Reply(0, True, Raw(result)))
    assert (took.imports, took.start_up) == told


def test_timings_that_make_no_sense_take_nothing_from_what_it_can_do() -> None:
    said = Reply(0, True, Raw(b'{"timings":5,"capabilities":["batch"]}'))
    assert capabilities(said) == ["batch"]

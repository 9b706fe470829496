"""What a batch has come to, until it is told."""

from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from bridge.messages import to_json
from bridge.messages.batch import FAILURE_BYTES, FRAME_BYTES, BatchReply, Results
from bridge.untold import Untold

LIMIT = 1_000
FAR = 10**18
"""A place that takes many digits."""


def taken(untold: Untold) -> tuple[bytes, bytes]:
    results, failures = untold.take()
    return bytes(results), bytes(failures)


def test_outcomes_are_taken_once_and_counted_on() -> None:
    untold = Untold(LIMIT)
    assert untold.succeed(b"1")
    assert untold.fail(b'{"error":"no"}')
    assert untold.succeed(b"[3]")
    assert taken(untold) == (b"[1,null,[3]]", b'{"1":{"error":"no"}}')
    assert (untold.next, untold.size) == (3, 0)
    assert untold.fail(b"{}")
    assert taken(untold) == (b"[null]", b'{"3":{}}')
    assert taken(untold) == (b"[]", b"{}")


def test_what_there_is_no_room_for_is_not_taken() -> None:
    room = LIMIT - FRAME_BYTES
    untold = Untold(LIMIT)
    assert not untold.succeed(b"1" * room)
    assert not untold.fail(b"1" * (room - FAILURE_BYTES + 1))
    assert untold.next == 0
    assert untold.fail(b"1" * (room - FAILURE_BYTES))
    assert not untold.succeed(b"1")
    untold.take()
    assert untold.succeed(b"1" * (room - 1))
    assert not untold.fail(b"{}")
    assert untold.next == 2
    assert taken(untold)[1] == b"{}"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400))))
def test_a_frame_is_never_longer_than_the_limit(outcomes: list[tuple[bool, int]]) -> None:
    untold = Untold(LIMIT)
    untold.next = FAR
    for succeeds, length in outcomes:
        encoded = b'"%b"' % (b"x" * length)
        add = untold.succeed if succeeds else untold.fail
        if not add(encoded):
            whole_frames(untold)
            assert add(encoded)
    whole_frames(untold)


def whole_frames(untold: Untold) -> None:
    results, failures = untold.take()
    for frame in (
        Results(-(2**63), "results", results, failures),
        BatchReply(-(2**63), True, results, failures, time.time(), 1.2345678901234567e-100),
    ):
        encoded = to_json(frame)
        assert len(encoded) <= LIMIT
        assert all(FAR <= int(place) < untold.next for place in json.loads(encoded)["failures"])

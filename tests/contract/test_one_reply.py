"""Whatever is called, cancelled and given credit, in whatever order: each call has one reply."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.contract.raw_client import RawClient

CALLS = 150
STREAMS: dict[str, Any] = {"trail": {"n": 8}, "atrail": {"n": 8}, "arush": {"n": 8}}
OTHERS: dict[str, Any] = {
    "echo": {"a": 1},
    "aecho": {"a": 1},
    "sleep": {"seconds": 0.002},
    "asleep": {"seconds": 0.002},
    "swallow": {"seconds": 0.002},
    "linger": {"seconds": 0.002},
    "fail": {"message": "no luck"},
    "unencodable": {},
    "no_such_command": {},
}


def send_any(client: RawClient, random: Random) -> int:
    """Send a request of some kind, and perhaps cancel or feed some call."""
    command = random.choice([*STREAMS, *OTHERS])
    args = (STREAMS | OTHERS)[command]
    members: dict[str, Any] = {}
    if command in STREAMS and random.random() < 0.7:
        members["credit"] = random.randrange(4)
    elif random.random() < 0.2:
        members["batch"] = [args] * random.randrange(5)
    sent = client.send(command, args, **members)
    if random.random() < 0.3:
        client.tell("$cancel", {"id": max(1, sent - random.randrange(6))})
    if random.random() < 0.5:
        client.tell("$credit", {"id": max(1, sent - random.randrange(6)), "items": 2})
    return sent


@pytest.mark.parametrize("concurrency", [1, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_each_call_has_one_reply(concurrency: int, seed: int) -> None:
    random = Random(seed)
    with RawClient("bridge.faulty") as client:
        client.shake_hands(concurrency)
        sent = [send_any(client, random) for _ in range(CALLS)]
        for call in sent:
            client.tell("$credit", {"id": call, "items": 8})
        replies = [client.until_reply()[1]["id"] for _ in sent]
        assert sorted(replies) == sent
        assert client.result("echo", {"a": 1}) == {"a": 1}
        client.result("shutdown")
        assert client.at_end_of_output()
        assert client.process.wait(1) == 0

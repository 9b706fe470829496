"""The bridge's end of its memory, spoken to by hand: what it says, reads and refuses."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest

from bridge.messages.memory import LARGE
from bridge.messages.memory.files import KEPT
from tests.contract.raw_client import RawClient

DATA = os.urandom(2 * LARGE)
TEXT = base64.b64encode(DATA).decode()


class Client(RawClient):
    """A bridge with memory: we write `requests`, it writes `results`."""

    def __init__(self, target: str = "bridge.echo", *arguments: str) -> None:
        self.requests, self.results = (os.memfd_create("test") for _ in range(2))
        fds = (self.requests, self.results)
        given = ("--memory-fds", *map(str, fds))
        super().__init__(target, *given, *arguments, pass_fds=fds)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        os.close(self.requests)
        os.close(self.results)

    def shake_hands(self, memory: Any = ("bytes",)) -> Any:
        return self.result("ping", {"initialization": True, "memory": memory})

    def blob(self, **members: Any) -> dict[str, Any]:
        """Ask for DATA, which is in memory, perhaps described in another way."""
        os.pwrite(self.requests, DATA, 0)
        entry = {"at": "data", "offset": 0, "size": len(DATA), "type": "bytes", **members}
        return self.ask("blob", {}, memory=[entry])

    def read(self) -> dict[str, Any]:
        reply = super().read()
        reply.pop("timestamp")
        return reply

    def release(self, call_id: int) -> None:
        self.write(b'{"args":{"id":%d},"command":"$release"}' % call_id)

    def kept(self) -> int:
        """Bytes of results that are there; those of a release that was sent are gone."""
        self.ask("pid")
        return os.fstat(self.results).st_size


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as client:
        yield client


def test_memory_is_listed_where_both_sides_have_it(client: Client) -> None:
    shaken = client.shake_hands()
    assert "memory" in shaken["capabilities"]
    assert shaken["memory"] == ["bytes", "ndarray"]


def test_who_offers_nothing_gets_nothing(client: Client) -> None:
    for offered in (None, "bytes", {"bytes": 1}):
        shaken = client.shake_hands(offered)
        assert "memory" not in {*shaken, *shaken["capabilities"]}
        assert client.blob()["result"] == {"value": TEXT}


def test_what_was_agreed_is_not_changed_by_another_ping(client: Client) -> None:
    client.shake_hands()
    client.ask("ping", {"memory": []})
    assert "memory" in client.blob()


def test_without_files_there_is_no_memory() -> None:
    with RawClient("bridge.echo") as client:
        shaken = client.result("ping", {"initialization": True, "memory": ["bytes"]})
        assert "memory" not in {*shaken, *shaken["capabilities"]}
        reply = client.ask("blob", {"data": TEXT}, memory=[{"at": "data"}])
        assert reply["result"] == {"value": TEXT}


def test_values_go_both_ways_and_stay_until_they_are_released(client: Client) -> None:
    client.shake_hands()
    first, second = client.blob(), client.blob()
    for reply in (first, second):
        (placed,) = reply.pop("memory")
        assert reply.pop("compute") >= 0
        assert reply == {"id": reply["id"], "success": True, "result": {}}
        assert os.pread(client.results, placed["size"], placed["offset"]) == DATA
    client.release(first["id"])
    assert client.blob()["memory"][0]["offset"] == 0
    client.release(second["id"])


def test_memory_is_emptied_when_the_pool_asks(client: Client) -> None:
    client.shake_hands()
    large = base64.b64encode(bytes(4 * KEPT)).decode()
    replies = [client.ask("blob", {"data": large}) for _ in range(2)]
    client.release(replies[1]["id"])
    assert client.kept() == 8 * KEPT
    client.write(b'{"command":"$trim","args":{}}')
    assert client.kept() == 4 * KEPT
    client.release(replies[0]["id"])
    client.write(b'{"command":"$trim","args":{}}')
    assert client.kept() == 0


LIES: list[tuple[Any, str]] = [
    ({"offset": -1}, "Expected `int` >= 0"),
    ({"offset": 1}, "ends before"),
    ({"offset": 2**63 - 1}, "there is nothing at"),
    ({"size": 10**12}, "over the limit"),
    ({"type": "pickle"}, "Invalid enum value"),
    ({"type": "ndarray", "dtype": "O", "shape": [1]}, "none that can be sent"),
    ({"type": "ndarray", "dtype": "<f4", "shape": [1]}, "no array of that shape"),
    ({"at": None}, "an argument has no name"),
    ({"at": 5}, "Expected `str | null`"),
]


def test_a_table_that_cannot_be_is_an_argument_error(client: Client) -> None:
    client.shake_hands()
    for members, said in LIES:
        reply = client.blob(**members)
        assert reply["error_type"] == "ArgumentError", members
        assert said in reply["error"]
        assert [problem["path"] for problem in reply["details"]] == ["memory"]
    assert client.blob()["success"]


def test_a_file_that_was_cut_short_is_an_argument_error(client: Client) -> None:
    client.shake_hands()
    os.ftruncate(client.requests, LARGE)
    entry = {"at": "data", "offset": 0, "size": 2 * LARGE, "type": "bytes"}
    assert "ends before" in client.ask("blob", {}, memory=[entry])["error"]
    assert client.ask("pid")["success"]


def test_what_is_no_table_is_an_argument_error(client: Client) -> None:
    client.shake_hands()
    no_tables: list[Any] = [5, [1], [[]], {}, "x", [{"at": "data"}]]
    for memory in no_tables:
        assert client.ask("blob", {}, memory=memory)["error_type"] == "ArgumentError"
    assert client.ask("blob", {"data": ""}, memory=None)["success"]


def test_a_result_that_is_too_large_for_its_frame_leaves_nothing_behind() -> None:
    limit = ("--max-frame-bytes", str(4 * KEPT))
    with Client("tests.contract.memory_bridge:bridge", *limit) as client:
        client.shake_hands()
        reply = client.ask("both", {"size": 4 * KEPT})
        assert reply["error_type"] == "ResultTooLarge"
        assert "frame of" in reply["error"]
        client.write(b'{"command":"$trim","args":{}}')
        assert client.kept() == 0


def test_a_release_of_nothing_is_no_end_of_the_bridge(client: Client) -> None:
    client.shake_hands()
    for args in (b"{}", b'{"id":"x"}', b"null", b'{"id":7}'):
        client.write(b'{"command":"$release","args":%b}' % args)
    assert client.ask("pid")["success"]

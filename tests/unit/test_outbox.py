"""The writing end that the event loop and threads share."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from bridge.outbox import Outbox
from bridge.sender import CutShort, Sender

MUCH = b"x" * 70_000


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What is written to any descriptor from here on, instead of writing it."""
    seen: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        seen.append(bytes(data))
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        yield seen


def made() -> Outbox:
    """On a descriptor of its own, which `hang_up` may close."""
    return Outbox(Sender(os.open(os.devnull, os.O_WRONLY), 2**20), asyncio.get_running_loop())


async def test_what_the_loop_sends_in_one_turn_leaves_together(writes: list[bytes]) -> None:
    outbox = made()
    outbox.put(b"one")
    outbox.put(b"two")
    assert writes == []
    await asyncio.sleep(0)
    assert writes == [b"onetwo"]
    outbox.put(b"three")
    outbox.hang_up()
    assert writes == [b"onetwo", b"three"]


async def test_much_does_not_wait_for_the_end_of_the_turn(writes: list[bytes]) -> None:
    outbox = made()
    outbox.put(b"one")
    outbox.put(MUCH)
    assert b"".join(writes) == b"one" + MUCH
    await asyncio.sleep(0)
    assert b"".join(writes) == b"one" + MUCH
    outbox.hang_up()


async def test_a_thread_writes_at_once(writes: list[bytes]) -> None:
    outbox = made()
    outbox.put(b"one")
    thread = threading.Thread(target=outbox.put, args=(b"two",))
    thread.start()
    thread.join()
    assert writes == [b"two"]
    outbox.hang_up()
    assert writes == [b"two", b"one"]


async def test_after_it_has_hung_up_nothing_is_written(writes: list[bytes]) -> None:
    outbox = made()
    outbox.hang_up()
    outbox.put(b"one")
    await asyncio.sleep(0)
    outbox.write(b"two")
    assert writes == []


async def test_nothing_follows_a_frame_that_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, written = made(), list[bytes]()

    def write(fd: int, data: bytes) -> int:
        written.append(bytes(data))
        raise RuntimeError("a signal handler's")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(CutShort, match="a signal handler's"):
            outbox.write(b"one")
        outbox.write(b"two")
        assert outbox.piece_under_way() is None
        outbox.hang_up()
    assert written == [b"one"]


async def test_each_piece_of_a_long_write_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, numbers = made(), list[int | None]()

    def write(fd: int, data: bytes) -> int:
        numbers.append(outbox.piece_under_way())
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        outbox.write(MUCH)
        outbox.write(b"one")
    assert len(set(numbers)) == len(numbers) == 3
    assert None not in numbers
    assert outbox.piece_under_way() is None
    outbox.hang_up()

"""The end of a link: what has arrived is delivered, and no more than that is waited for."""

from __future__ import annotations

import asyncio
import os

import pytest

from bridge.frames import encode
from bridge.messages.secrets import HIDDEN, Secrets
from pool.exchange.ends import PipeEnds
from pool.exchange.link import PipeLink
from pool.launch.descriptors import close_end, open_pipe

FRAME = encode(b"x" * 1000)
KEY = "sk-1234567890"


class Peer:
    """Writes a frame for each that is delivered, so that there always is another."""

    def __init__(self) -> None:
        secrets = Secrets()
        secrets.keep(KEY)
        reading, self.writing = open_pipe()
        self.requests, writing = open_pipe()
        self.frames = 0
        self.closed: list[str] = []
        self.link = PipeLink(PipeEnds(reading, writing), 1_000_000, secrets)
        self.link.start(self._on_frame, self.closed.append, self.closed.append)

    def _on_frame(self, payload: bytes) -> None:
        self.frames += 1
        assert self.frames < 1_000, "it is read without end"
        os.write(self.writing, FRAME)

    def close(self) -> None:
        self.link.close()
        close_end(self.writing)
        close_end(self.requests)


async def test_a_drain_ends_though_the_other_end_writes_on() -> None:
    peer = Peer()
    os.write(peer.writing, FRAME * 60)
    peer.link.drain()
    assert 60 <= peer.frames <= 60 + 64
    assert peer.closed == ["the process ended"]
    peer.close()


async def test_who_cannot_be_written_to_is_drained_and_closed() -> None:
    peer = Peer()
    os.dup2(peer.writing, peer.requests)  # nobody reads requests any more
    os.write(peer.writing, FRAME * 60)
    peer.link.write(b"request")
    peer.link.drain()
    assert peer.frames >= 60
    assert peer.closed == ["the process ended"]
    assert peer.link.sent == 0
    peer.close()


@pytest.mark.parametrize("before", [0, 180, 195])
async def test_half_a_frame_at_the_end_is_quoted_without_secrets(before: int) -> None:
    peer = Peer()
    os.write(peer.writing, encode(b"." * before + KEY.encode() + b"." * 1000)[:-1])
    os.dup2(peer.requests, peer.writing)  # end of file
    peer.link.drain()
    [words] = peer.closed
    assert "in the middle of a frame" in words
    assert HIDDEN in words
    assert "sk-" not in words
    peer.close()


@pytest.mark.parametrize("frames", [1, 3])
async def test_what_cannot_be_taken_in_is_told_and_not_waited_for(
    frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(payload: bytes) -> None:
        raise MemoryError(KEY)

    peer = Peer()
    told: list[str] = []
    peer.link.start(fails, peer.closed.append, told.append)
    os.write(peer.writing, FRAME * frames)
    peer.link._read()
    assert told == ["what it sent could not be taken in: MemoryError"]
    assert "in fails" in caplog.text
    assert "sk-" not in caplog.text
    peer.close()


async def test_a_closed_link_leaves_alone_who_has_its_descriptors_now() -> None:
    loop, peer = asyncio.get_running_loop(), Peer()
    peer.link.close()
    reading, writing = open_pipe()  # of the lowest numbers that are free
    loop.add_reader(reading, print)
    peer.link.pause_reading()
    peer.link.resume_reading()
    assert loop.remove_reader(reading)
    for fd in (reading, writing, peer.writing, peer.requests):
        close_end(fd)

"""Frames come out whole however the bytes were cut."""

from __future__ import annotations

import time

import pytest

from bridge.frames import DEFAULT_MAX_FRAME_BYTES, FrameDecoder, FrameTooLarge, encode

PAYLOADS = [b"{}", b"", b'{"id": 1}', b"x" * 300]
STREAM = b"".join(encode(payload) for payload in PAYLOADS)


def all_of(decoder: FrameDecoder) -> list[bytes]:
    found = []
    while (payload := decoder.next()) is not None:
        found.append(payload)
    return found


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_cut_at_any_offset_decodes_the_same(cut: int) -> None:
    decoder = FrameDecoder()
    decoder.feed(STREAM[:cut])
    found = all_of(decoder)
    decoder.feed(STREAM[cut:])
    assert found + all_of(decoder) == PAYLOADS


def test_a_stream_decodes_byte_by_byte() -> None:
    decoder, found = FrameDecoder(), []
    for i in range(len(STREAM)):
        decoder.feed(STREAM[i : i + 1])
        found += all_of(decoder)
    assert found == PAYLOADS
    assert decoder.pending == b""


def test_the_length_is_four_bytes_big_endian() -> None:
    assert encode(b"abc") == b"\x00\x00\x00\x03abc"


def test_a_payload_over_the_limit_is_not_encoded() -> None:
    with pytest.raises(FrameTooLarge, match="11 bytes is over the limit of 10") as caught:
        encode(b"x" * 11, 10)
    assert (caught.value.length, caught.value.limit) == (11, 10)


def test_a_payload_at_the_limit_is_a_frame() -> None:
    decoder = FrameDecoder(10)
    decoder.feed(encode(b"x" * 10, 10))
    assert decoder.next() == b"x" * 10
    assert DEFAULT_MAX_FRAME_BYTES == 2**26


def test_after_a_refused_frame_that_came_whole_nothing_is_dropped() -> None:
    decoder = FrameDecoder(10)
    decoder.feed(encode(b"x" * 11) + b"\x00")
    with pytest.raises(FrameTooLarge, match="11 bytes is over the limit of 10"):
        decoder.next()
    decoder.feed(encode(b"ok")[1:])
    assert decoder.next() == b"ok"


@pytest.mark.parametrize("rest", [b"", b"\x00\x00", b"\x00\x00\x00\x09half"])
def test_what_was_read_is_not_held_in_memory(rest: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(encode(b"x" * 1000) + rest)
    assert len(all_of(decoder)) == 1
    assert decoder.pending == rest


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_frame_over_the_limit_is_refused_once_and_the_next_one_decodes(chunk: int) -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    stream = encode(b"x" * 50) + encode(b"ok")
    refused, found = [], []
    for i in range(0, len(stream), chunk):
        decoder.feed(stream[i : i + chunk])
        try:
            found += all_of(decoder)
        except FrameTooLarge as error:
            refused.append(error.length)
            found += all_of(decoder)
    assert (refused, found) == ([50], [b"ok"])


def test_a_refused_frame_is_never_held_in_memory() -> None:
    decoder = FrameDecoder(max_frame_bytes=10)
    decoder.feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameTooLarge):
        decoder.next()
    for _ in range(100):
        decoder.feed(b"x" * 65536)
        assert decoder.next() is None
    assert decoder.pending == b""


def test_half_a_frame_can_be_looked_at() -> None:
    decoder = FrameDecoder()
    decoder.feed(encode(b"whole") + b"\x00\x00\x00\x09half")
    assert all_of(decoder) == [b"whole"]
    assert decoder.pending == b"\x00\x00\x00\x09half"
    decoder = FrameDecoder()
    decoder.feed(b"\x00\x00\xff\xff" + b"x" * 5000)
    assert (decoder.next(), len(decoder.pending)) == (None, 4096)


def test_a_long_frame_is_not_copied_with_every_piece_of_it() -> None:
    decoder, frame, piece = FrameDecoder(), encode(b"x" * 2**24), 2**12
    began = time.process_time()
    for start in range(0, len(frame), piece):
        assert decoder.next() is None
        decoder.feed(frame[start : start + piece])
    assert decoder.next() == frame[4:]
    # Some 10 ms; to copy what there is with every second piece takes seconds.
    assert time.process_time() - began < 1.0

"""Lines come out whole and without secrets, however the stream was chunked."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.messages.secrets import HIDDEN, Secrets
from pool.worker.lines import MAX_LINE, Lines

KEY = "sk-12345678-é"


def lines_of(*chunks: bytes) -> list[str]:
    secrets = Secrets()
    secrets.keep(KEY)
    lines = Lines(secrets)
    return [line for chunk in chunks for line in lines.feed(chunk)] + lines.end()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def test_lines_are_lines() -> None:
    assert lines_of(b"one\ntwo\n\nthr", b"ee\nfour") == ["one", "two", "", "three", "four"]
    assert lines_of(b"\xff\n", b"\xc3", b"\xa9\n", b"\xc3") == ["�", "é", "�"]
    assert lines_of() == lines_of(b"") == []


parts = st.lists(st.sampled_from([KEY, KEY[:4], KEY[4:], "other ", "é", "\n"])).map("".join)


@given(parts.map(str.encode), st.lists(st.integers(0, 1000)))
def test_a_secret_is_hidden_wherever_the_stream_was_cut(data: bytes, places: list[int]) -> None:
    assert lines_of(*cut(data, places)) == lines_of(data)
    assert KEY not in "\n".join(lines_of(data))


def test_a_long_line_comes_in_pieces() -> None:
    assert lines_of(b"x" * 3 * MAX_LINE) != ["x" * 3 * MAX_LINE]
    assert "".join(lines_of(*[b"abc"] * 2 * MAX_LINE)) == "abc" * 2 * MAX_LINE


def test_a_piece_is_longer_than_a_line_may_be_and_the_rest_is_kept() -> None:
    pieces = lines_of(*[b"x"] * (2 * MAX_LINE + 100))
    assert MAX_LINE == 8_192
    assert [len(piece) for piece in pieces[:2]] == [MAX_LINE + 1] * 2
    assert "".join(pieces) == "x" * (2 * MAX_LINE + 100)


@settings(max_examples=25)
@given(st.integers(0, 3 * len(KEY)), st.integers(100, 10_000))
def test_a_secret_in_a_long_line_is_hidden_whole(offset: int, size: int) -> None:
    line = ("." * (MAX_LINE - len(KEY) + offset) + KEY) * 3
    data = line.encode()
    pieces = lines_of(*(data[i : i + size] for i in range(0, len(data), size)))
    assert len(pieces) > 1
    # A cut that goes through one shows the mark on both sides of it.
    assert re.fullmatch(rf"(\.+({re.escape(HIDDEN)})+)+", "".join(pieces))


def test_a_line_of_nothing_but_secrets_is_not_held() -> None:
    secrets = Secrets()
    secrets.keep("aaaaaaaa")
    lines = Lines(secrets)
    shown = [line for _ in range(10) for line in lines.feed(b"a" * MAX_LINE)]
    assert set(shown) == {HIDDEN}
    assert len(shown) >= 5

"""What others have said, within a sentence."""

from __future__ import annotations

import pytest

from bridge.messages.secrets import HIDDEN, Secrets
from pool.quotes import QUOTED_BYTES, QUOTED_TEXT, excerpt, quote

KEY = "sk-12345678-\xe9"


def secrets() -> Secrets:
    known = Secrets()
    known.keep(KEY)
    return known


def test_of_senseless_bytes_the_beginning_is_quoted() -> None:
    assert quote(secrets(), b"\xff\x00no") == repr(b"\xff\x00no")
    assert quote(secrets(), b"x" * 10_000) == repr(b"x" * QUOTED_BYTES)
    assert QUOTED_BYTES == 200


@pytest.mark.parametrize("shown", [0, 1, 12, 13])
def test_a_secret_at_the_cut_is_hidden_whole(shown: int) -> None:
    dots = "." * (QUOTED_BYTES - shown)
    quoted = quote(secrets(), dots.encode() + KEY.encode() + b"." * 100)
    assert quoted == f"b'{dots}{HIDDEN if shown else ''}'"


def test_of_a_long_text_the_beginning_and_the_end() -> None:
    assert excerpt(secrets(), f"x{KEY}") == f"x{HIDDEN}"
    assert excerpt(secrets(), "x" * QUOTED_TEXT) == "x" * QUOTED_TEXT
    text = "a" * QUOTED_TEXT + "b" * QUOTED_TEXT
    half = QUOTED_TEXT // 2
    cut = "\n[2000 characters are left out]\n"
    assert excerpt(secrets(), text) == "a" * half + cut + "b" * half
    assert excerpt(secrets(), "abcdefg", 5) == "ab\n[3 characters are left out]\nfg"


def test_a_secret_where_a_text_is_cut_is_hidden_whole() -> None:
    text = "a" * 6 + KEY + "b" * 100 + KEY + "c" * 6
    cut = f"{HIDDEN}\n[{len(text) - 20} characters are left out]\n{HIDDEN}"
    assert excerpt(secrets(), text, 20) == f"aaaaaa{cut}cccccc"

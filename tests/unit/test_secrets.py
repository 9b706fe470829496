"""What was learned to be secret is in no text that was hidden, however it is spelled or cut."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.messages.secrets import (
    HIDDEN,
    LONGEST,
    MOST,
    PIECE,
    SHORTEST,
    Secrets,
    looks_secret,
)

KEY = "sk-12345678"
TRICKY = "a\"b\\c'd\té\n0123456789\n"


def knows(*values: str) -> Secrets:
    secrets = Secrets()
    for value in values:
        secrets.keep(value)
    return secrets


def test_the_constants_are_those_of_the_documentation() -> None:
    assert (HIDDEN, SHORTEST, LONGEST, PIECE, MOST) == ("[hidden]", 8, 131_072, 4_096, 1_000)


# Learning


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("OPENAI_API_KEY", True),
        ("token", True),
        ("AWS_SESSION_TOKEN", True),
        ("DB_PASSWORD", True),
        ("credentials", True),
        ("ClientSecret", True),
        ("PATH", False),
        ("temperature", False),
    ],
)
def test_names_tell_what_is_secret(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


def test_variables_are_learned_by_their_names_unless_they_are_short() -> None:
    secrets = Secrets()
    secrets.learn_environment({"A_KEY": KEY, "B_KEY": "short", "HOME": "/home/user", "C_KEY": " "})
    assert secrets.hide(f"{KEY} short /home/user   ") == f"{HIDDEN} short /home/user   "


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY},
        {"lm": {"api_key": KEY}},
        {"lms": [{"auth": {"Token": KEY}}]},
        {"passwords": {"of": ["x", KEY]}},
    ],
)
def test_members_are_learned_by_their_names_wherever_they_stand(options: Any) -> None:
    secrets = Secrets()
    secrets.learn_members({"model": "a-long-model-name", **options})
    assert secrets.hide(f"{KEY} a-long-model-name") == f"{HIDDEN} a-long-model-name"


def test_eight_characters_are_learned_and_seven_are_a_word() -> None:
    secrets = Secrets()
    secrets.learn_environment({"TOKEN": "12345678", "KEY": "abcdefg"})
    assert secrets.hide("12345678 abcdefg") == f"{HIDDEN} abcdefg"
    lines = knows("12345678\nabcdefg")
    assert lines.hide("12345678 abcdefg") == f"{HIDDEN} abcdefg"


def test_all_members_are_looked_through() -> None:
    secrets = Secrets()
    one, two, three, four = (f"secret-number-{i}" for i in range(4))
    secrets.learn_members({"key": [one, two], "a": [{"token": three}, 1], "b": {"secret": four}})
    assert secrets.hide(" ".join([one, two, three, four])) == " ".join([HIDDEN] * 4)


def test_members_are_learned_at_any_depth() -> None:
    nested: Any = {"api_key": KEY}
    for _ in range(10_000):
        nested = [nested]
    secrets = Secrets()
    secrets.learn_members(nested)
    assert secrets.hide(KEY) == HIDDEN


@pytest.mark.parametrize("key", [KEY, TRICKY, "ключ-ключ-ключ"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_api_key_of_a_call_is_learned(key: str, ascii_only: bool) -> None:
    args = {"model": "m", "lm": {"api_key": key, "n": 1}, "token": "not this one"}
    secrets = Secrets()
    secrets.learn_arguments(json.dumps(args, ensure_ascii=ascii_only).encode())
    assert secrets.hide(f"{key.strip()}, not this one") == f"{HIDDEN}, not this one"


@pytest.mark.parametrize("name", ["openai_api_key", "x.api_key", "apiKey", "OPENAI_API_KEY"])
def test_names_that_end_like_it_are_learned_too(name: str) -> None:
    secrets = Secrets()
    secrets.learn_arguments(json.dumps({"environment": {name: KEY}}).encode())
    assert secrets.hide(KEY) == HIDDEN


def test_a_name_of_any_length_is_looked_through_in_linear_time() -> None:
    secrets = Secrets()
    secrets.learn_arguments(b'"' + b"x" * 1_000_000 + b'api_key":"' + KEY.encode() + b'"')
    secrets.learn_arguments(b'"' * 1_000_000 + b'api_key":')
    assert secrets.longest == 0


@pytest.mark.parametrize("value", [b"5", b'"\\x"', b'"\xff\xff"', b'"'])
def test_an_api_key_that_is_no_text_is_passed_over(value: bytes) -> None:
    secrets = Secrets()
    secrets.learn_arguments(b'{"api_key":' + value + b"}")
    assert secrets.longest == 0


def test_the_keys_of_calls_are_bounded_and_drive_out_nothing_else() -> None:
    secrets = Secrets()
    secrets.learn_environment({"KEY": KEY})
    for number in range(MOST + 1):
        secrets.learn_arguments(b'{"api_key":"key-of-a-call-%d"}' % number)
    assert secrets.hide(f"{KEY} key-of-a-call-0.") == f"{HIDDEN} key-of-a-call-0."
    assert secrets.hide(f"key-of-a-call-{MOST}") == HIDDEN


def test_so_many_keys_of_calls_are_remembered() -> None:
    secrets = Secrets()
    for number in range(MOST):
        secrets.learn_arguments(b'{"api_key":"key-of-a-call-%d."}' % number)
    assert secrets.hide("key-of-a-call-0.") == HIDDEN


def test_a_key_that_comes_again_is_not_the_oldest() -> None:
    secrets = Secrets()
    for number in [*range(MOST), 0, MOST]:
        secrets.learn_arguments(b'{"api_key":"key-of-a-call-%d."}' % number)
    assert secrets.hide("key-of-a-call-0.") == HIDDEN
    assert secrets.hide("key-of-a-call-1.") == "key-of-a-call-1."


# Hiding


def test_what_was_kept_is_hidden_however_short() -> None:
    assert knows("abc").hide("xabcx") == f"x{HIDDEN}x"
    assert knows("", "  ").hide("a  b") == "a  b"


def test_one_secret_within_another_and_overlapping_ones_are_hidden_whole() -> None:
    secrets = knows("12345678", "0123456789", "89abcdef")
    assert secrets.hide("x0123456789abcdefx") == f"x{HIDDEN}x"


def test_one_that_overlaps_itself_is_hidden_whole() -> None:
    assert knows("abcabc").hide("abcabcabc") == HIDDEN
    assert knows("aaaaaaaa").hide("aaaaaaaaa") == HIDDEN


def test_one_that_comes_often_is_hidden_each_time() -> None:
    assert knows(KEY).hide(f"a{KEY}b{KEY}c{KEY}d") == f"a{HIDDEN}b{HIDDEN}c{HIDDEN}d"


@pytest.mark.parametrize(
    "spelled",
    [
        json.dumps(TRICKY),
        json.dumps(TRICKY, ensure_ascii=False),
        json.dumps({"nested": json.dumps([1])}) + json.dumps(TRICKY),
        repr(TRICKY),
        repr({"key": TRICKY}),
        repr(TRICKY.encode()),
        TRICKY,
    ],
)
def test_a_secret_is_recognised_as_json_and_repr_spell_it(spelled: str) -> None:
    hidden = knows(TRICKY).hide(spelled)
    assert HIDDEN in hidden
    assert "0123456789" not in hidden
    assert "d" not in hidden.replace(HIDDEN, "").replace("nested", "")


@pytest.mark.parametrize("edge", ['"', "'", "\\", "\xfc", '"\xfc', "\x01\xfc"])
def test_however_it_is_spelled_nothing_of_it_is_left(edge: str) -> None:
    value = f"{edge}it-is-one{edge}"
    hide = knows(value).hide
    for spelled in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert hide(spelled) == f'"{HIDDEN}"'
    assert hide(repr(value)) == repr(value)[0] + HIDDEN + repr(value)[-1]
    as_bytes = repr(value.encode())
    assert hide(as_bytes) == as_bytes[:2] + HIDDEN + as_bytes[-1]


def test_an_apostrophe_may_be_escaped_because_of_what_is_around_it() -> None:
    value = "it's-one"
    assert knows(value).hide(repr(f'say "{value}"')) == f"'say \"{HIDDEN}\"'"


def test_a_secret_need_not_be_unicode() -> None:
    assert knows("abc\udcff1234").hide("<abc\udcff1234>") == f"<{HIDDEN}>"


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
    secrets = knows(pem)
    assert secrets.hide(pem) == HIDDEN + "\n"
    assert secrets.hide("MIIEvQIBADANBg\r\n") == f"{HIDDEN}\r\n"


def test_a_line_is_hidden_and_no_part_of_it() -> None:
    assert knows("12345678 90\nabc").hide("12345678") == "12345678"


def test_a_long_secret_of_short_lines_is_hidden_whole() -> None:
    value = "\n".join(f"{number:05}" for number in range(PIECE))
    assert knows(value).hide(value) == HIDDEN


def test_a_long_secret_is_hidden_whole_and_in_pieces() -> None:
    value = "".join(chr(97 + i % 26) + str(i) for i in range(PIECE))
    secrets = knows(value)
    assert secrets.hide(f"<{value}>") == f"<{HIDDEN}>"
    assert HIDDEN in secrets.hide(value[: 2 * PIECE + 10])
    assert secrets.longest <= PIECE


def test_texts_in_json_values_are_hidden_and_the_rest_is_as_it_was() -> None:
    value = {"a": [KEY, 1, None, 2.5, True], KEY: {"b": f"x{KEY}"}}
    shown = {"a": [HIDDEN, 1, None, 2.5, True], HIDDEN: {"b": f"x{HIDDEN}"}}
    assert knows(KEY, "1").hide_in(value) == shown


def test_what_is_nested_too_deep_to_look_through_is_hidden() -> None:
    nested: Any = KEY
    for _ in range(10_000):
        nested = [nested]
    assert knows(KEY).hide_in(nested) == HIDDEN


# Cutting

texts = st.lists(st.sampled_from([KEY, KEY[:5], KEY[5:], "sk", "other ", "é\n"])).map("".join)


def test_what_a_cut_shows_is_what_lies_within_it() -> None:
    text = f"ab{KEY}cd{KEY}ef"
    masked = text.replace(KEY, "\0" * len(KEY))
    secrets = knows(KEY, "ef-and-much-longer-than-that")
    for start in range(len(text) + 1):
        for end in range(start + 1, len(text) + 3):
            expected = re.sub("\0+", HIDDEN, masked[start:end])
            assert secrets.hide(text, start, end) == expected


@given(texts, st.data())
def test_a_cut_never_shows_a_part_of_a_secret(text: str, data: st.DataObject) -> None:
    secrets = knows(KEY)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    shown = secrets.hide(text, start, end)
    pieces = text.split(KEY)
    assert all(part in text for part in shown.split(HIDDEN))
    assert "".join(shown.split(HIDDEN)) in "".join(pieces)

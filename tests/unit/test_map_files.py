"""What the map command reads and writes: lines, records, and which items are done."""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from pool import BrokenWorkerError, RemoteError
from pool.cli.map.contents import read_contents
from pool.cli.map.dataset import Dataset, Refused, read_item
from pool.cli.map.done import Done
from pool.cli.map.lines import Lines, count_lines
from pool.cli.map.records import Record, decode, encode, failure_of, may_be_cut_off
from pool.dataset.batch import Failed

NUMBERS = st.lists(st.integers(0, 200))


# Which are done


@given(NUMBERS, st.integers(0, 210), st.integers(0, 210))
def test_done_is_a_set_of_numbers(numbers: list[int], start: int, count: int) -> None:
    done = Done()
    assert [done.add(number) for number in numbers] == [
        number not in numbers[:place] for place, number in enumerate(numbers)
    ]
    members = set(numbers)
    assert done.count == len(members)
    assert done.highest == max(members, default=-1)
    assert {number for number in range(300) if number in done} == members
    assert done.has_all(start, count) == members.issuperset(range(start, start + count))


def test_ranges_are_found_done_over_many_bytes() -> None:
    done = Done()
    for number in range(5, 1000):
        done.add(number)
    assert done.has_all(5, 995)
    assert not done.has_all(4, 900)
    assert not done.has_all(5, 996)


def test_ten_million_items_take_little_memory() -> None:
    done = Done()
    done.add(10_000_000 - 1)
    assert len(done._bits) == 1_250_000


# Lines


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\x00", b"\n")), st.integers(1, 50))
def test_lines_are_the_same_wherever_a_block_ends(data: bytes, block: int) -> None:
    lines = Lines(io.BytesIO(data), 1000, block)
    whole = [line for block_ in lines for line in block_]
    assert [*whole, lines.rest] == data.split(b"\n")
    assert lines.size == len(data)
    counted = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert count_lines(io.BytesIO(data)) == counted


def test_a_line_that_is_too_long_is_not_kept() -> None:
    lines = Lines(
        io.BytesIO(b"a\n" + b"x" * 101 + b"\n" + b"y" * 100 + b"\nb\n" + b"z" * 101), 100, 10
    )
    assert [line for block in lines for line in block] == [b"a", None, b"y" * 100, b"b"]
    assert lines.rest is None


# The input


@pytest.mark.parametrize(
    "line", [b"{}", b'{"a": 1}', b' \t{"a": "\xc3\xa9"}\r', b'{"a": {"b": [1, null]}}']
)
def test_an_object_is_sent_as_it_is(line: bytes) -> None:
    item = read_item(line)
    assert isinstance(item, Raw)
    assert bytes(item) == line.strip()


@pytest.mark.parametrize("line", [b"", b" ", b"\t\r"])
def test_a_blank_line_is_no_item(line: bytes) -> None:
    assert read_item(line) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]", "got `array`"),
        (b"null", "got `null`"),
        (b'{"a": 1', "truncated"),
        (b'{"a": 1} {"b": 2}', "trailing"),
        (b'{"a": NaN}', "invalid"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (None, "longer than"),
    ],
)
def test_anything_else_is_refused(line: bytes | None, why: str) -> None:
    item = read_item(line)
    assert isinstance(item, Refused)
    assert why in item.why


def test_outcomes_become_records_of_their_lines() -> None:
    source = io.BytesIO(b'{"a": 0}\n\n{"a": 2}\n3\n{"a": 4}')
    done = Done()
    done.add(0)
    dataset = Dataset(source, done)
    items = list(dataset)
    assert [type(item) for item in items] == [Raw, Refused, Raw]
    runs: list[tuple[int, list[Any]]] = [
        (2, [Raw(b"44")]),
        (0, [Raw(b"22"), Failed(ValueError("of the pool"))]),
    ]
    records = dataset.records(runs)
    assert [json.loads(line) for line in encode(records).splitlines()] == [
        {"index": 4, "result": 44},
        {"index": 2, "result": 22},
        {
            "index": 3,
            "error": {
                "type": "ValueError",
                "message": "the line is not a JSON object: Expected `object`, got `int`",
            },
        },
    ]
    assert not dataset._lines
    assert not dataset._refused


@given(st.sets(st.integers(0, 99)), st.integers(0, 99))
def test_only_lines_that_are_not_done_are_items(finished: set[int], seed: int) -> None:
    random, done = Random(seed), Done()
    for number in finished:
        done.add(number)
    blank = {number for number in range(100) if random.random() < 0.2}
    lines = [b"" if number in blank else b'{"n": %d}' % number for number in range(100)]
    dataset = Dataset(io.BytesIO(b"\n".join(lines)), done)
    dataset._blocks = Lines(io.BytesIO(b"\n".join(lines)), 1000, block=random.randrange(1, 300))
    items = [json.loads(bytes(item)) for item in dataset if isinstance(item, Raw)]
    assert items == [{"n": number} for number in range(100) if number not in finished | blank]


# The output


def test_a_record_has_a_line_to_itself() -> None:
    records = [Record(1, Raw(b'{"a":\n [1,\n2]}')), Record(2, Raw(b'"x\\n"'))]
    assert encode(records) == b'{"index":1,"result":{"a":[1,2]}}\n{"index":2,"result":"x\\n"}\n'


def test_errors_say_what_was_raised() -> None:
    remote = RemoteError("no luck", error_type="ValueError", traceback="long")
    lost = BrokenWorkerError("it died", request_sent=True, worker="w")
    records = [Record(0, error=failure_of(error)) for error in (remote, lost)]
    assert encode(records).splitlines() == [
        b'{"index":0,"error":{"type":"RemoteError","message":"no luck","error_type":"ValueError"}}',
        b'{"index":1,"error":{"type":"BrokenWorkerError","message":"it died"}}'.replace(b"1", b"0"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"index":1}',
        b'{"index":-1,"result":1}',
        b'{"index":1.5,"result":1}',
        b'{"index":1,"result":1,"error":{"type":"a","message":"b"}}',
        b'{"index":1,"result":1,"other":2}',
        b'{"index":1,"error":"text"}',
        b'{"index":1,"result":' + b"[" * 100_000,
    ],
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(line)


FAILED = Record(1, error=failure_of(ValueError("x")))
WHOLE = encode([Record(3, Raw(b'{"a": "b"}')), FAILED, Record(0, Raw(b"null"))])


def test_what_was_left_is_read_wherever_it_was_cut_off() -> None:
    ends = [place + 1 for place, byte in enumerate(WHOLE) if byte == ord("\n")]
    for length in range(len(WHOLE) + 1):
        contents, size = read_contents(io.BytesIO(WHOLE[:length]), 4)
        kept = [end for end in ends if end <= length]
        assert size == max(kept, default=0)
        assert contents.done.count == len(kept)
        assert contents.failed == (len(kept) >= 2)
        assert [index in contents.done for index in (3, 1, 0)] == [
            place < len(kept) for place in range(3)
        ]


@pytest.mark.parametrize(
    ("data", "items", "why"),
    [
        (b'{"text": "mine"}\n', 9, "line 1 is not of an earlier run"),
        (WHOLE + b"\n", 9, "line 4 is not of an earlier run"),
        (WHOLE, 3, "line 1 has item 3, the input 3 lines"),
        (WHOLE + WHOLE[:20], 9, None),
        (WHOLE + WHOLE, 9, "line 4 has item 3 for the second time"),
        (b"notes without an end", 9, "has no end"),
        (WHOLE + b"\x00" * 100, 9, "has no end"),
    ],
)
def test_what_is_not_of_an_earlier_run_is_refused(data: bytes, items: int, why: str | None) -> None:
    if why is None:
        read_contents(io.BytesIO(data), items)
        return
    with pytest.raises(ValueError, match=why):
        read_contents(io.BytesIO(data), items)


def test_a_beginning_of_a_record_is_known() -> None:
    assert all(may_be_cut_off(WHOLE[:length]) for length in range(30))
    assert not may_be_cut_off(b"{ ")
    assert not may_be_cut_off(b"text")

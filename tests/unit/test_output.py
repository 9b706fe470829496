"""What a child writes for people: its end is kept, its lines are passed on, the loop turns on."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from bridge.messages.secrets import HIDDEN, Secrets
from pool.launch.descriptors import close_end, open_pipe
from pool.worker.output import KEPT, LAST_LINES, LINES_AT_ONCE, Output

KEY = "sk-1234567890"
MEGABYTE = 1024 * 1024


class Child:
    """The writing end of a pipe, and the output at the other."""

    def __init__(self) -> None:
        secrets = Secrets()
        secrets.keep(KEY)
        reading, self.writing = open_pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, MEGABYTE)
        self.lines: list[str] = []
        self.output = Output(reading, secrets, self.lines.append)

    async def writes(self, *parts: bytes) -> None:
        for part in parts:
            assert os.write(self.writing, part) == len(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def child() -> AsyncIterator[Child]:
    made = Child()
    yield made
    made.output.close()
    close_end(made.writing)


@pytest.mark.parametrize("end", range(0, len(KEY) + 2, 3))
async def test_a_tail_does_not_begin_within_a_secret(child: Child, end: int) -> None:
    for _ in range(6):  # the beginning is forgotten on the way
        await child.writes(b"x" * KEPT)
    await child.writes(KEY.encode() * 20_000 + b"." * (KEPT - end))
    child.output.close()
    shown = child.output.tail()
    assert shown.startswith(HIDDEN if end else ".")
    assert not set(shown.replace(HIDDEN, "")) & set(KEY)


async def test_a_secret_that_comes_in_two_reads_is_hidden_in_both(child: Child) -> None:
    await child.writes(b"a sk-12345", b"67890 b\n")
    assert child.output.tail() == f"a {HIDDEN} b\n"
    assert child.lines == [f"a {HIDDEN} b"]


async def test_a_flood_of_lines_is_passed_on_whole_and_a_few_per_turn(child: Child) -> None:
    lines = 10 * LINES_AT_ONCE
    os.write(child.writing, b"\n" * lines)
    counts = [0]
    while counts[-1] < lines:
        await asyncio.sleep(0)
        counts.append(len(child.lines))
    assert max(after - before for before, after in pairwise(counts)) == LINES_AT_ONCE
    await child.writes(b"and on\n")
    assert child.lines[-1] == "and on"


async def test_at_the_end_the_last_lines_are_passed_on(child: Child) -> None:
    os.write(child.writing, b"".join(b"%d\n" % i for i in range(2 * LAST_LINES)) + b"the end")
    child.output.close()
    assert child.lines == [
        f"[{LAST_LINES + 1} lines are left out]",
        *map(str, range(LAST_LINES + 1, 2 * LAST_LINES)),
        "the end",
    ]
    await asyncio.sleep(0)


async def test_at_the_end_of_the_pipe_all_lines_are_passed_on(child: Child) -> None:
    os.write(child.writing, b"\n" * 3 * LINES_AT_ONCE + b"the end")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, child.writing)
    os.close(null)
    for _ in range(10):
        await asyncio.sleep(0)
    assert child.lines[-1] == "the end"
    assert len(child.lines) == 3 * LINES_AT_ONCE + 1

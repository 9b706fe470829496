"""Values through a file in memory: whole, once, and the memory comes back."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.messages.memory import LARGE, Placed, read_table
from bridge.messages.memory.files import KEPT, MAPPED, Changed, Incoming, Outgoing
from bridge.messages.memory.large import Large, large_members

MEGABYTE = 1024 * 1024
MOST = 64 * MEGABYTE


@pytest.fixture
def fd() -> Iterator[int]:
    fd = os.memfd_create("test")
    yield fd
    os.close(fd)


def length(fd: int) -> int:
    return os.fstat(fd).st_size


def send(fd: int, outgoing: Outgoing, values: dict[str, Any], call: int = 1) -> dict[str, Any]:
    table = read_table(outgoing.place(call, large_members(values)), MOST, ["bytes", "ndarray"])
    return {str(at): held.value() for at, held in Incoming(fd).read(table).items()}


@pytest.mark.parametrize("size", [LARGE + 1, MAPPED - 1, MAPPED, MAPPED + 1, 20 * MEGABYTE])
@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_bytes_arrive_as_they_were(fd: int, size: int, make: Any) -> None:
    data = os.urandom(size)
    arrived = send(fd, Outgoing(fd), {"a": make(data)})
    assert arrived == {"a": data}
    assert type(arrived["a"]) is bytes


@pytest.mark.parametrize("count", [LARGE, MAPPED])
def test_arrays_arrive_with_bytes_of_their_own(fd: int, count: int) -> None:
    array = np.arange(count, dtype=">f4").reshape(2, -1).T
    outgoing = Outgoing(fd)
    arrived = send(fd, outgoing, {"a": array, "b": b"x" * count * 2})
    outgoing.release(1)
    send(fd, outgoing, {"a": bytes(3 * count)}, 2)
    np.testing.assert_array_equal(arrived["a"], array)
    assert arrived["a"].dtype == array.dtype
    assert arrived["b"] == b"x" * count * 2
    arrived["a"][0, 0] = 7


def test_a_large_array_has_pages_of_its_own(fd: int) -> None:
    outgoing = Outgoing(fd)
    table = read_table(
        outgoing.place(1, large_members({"a": np.zeros(MAPPED, "u1")})), MOST, ["ndarray"]
    )
    held = Incoming(fd).read(table)["a"]
    assert type(held.data) is mmap.mmap
    assert "/dev/zero" not in Path("/proc/self/maps").read_text()  # as a shared one would be


def test_calls_at_the_same_time_have_places_of_their_own(fd: int) -> None:
    outgoing = Outgoing(fd)
    tables = {}
    for call in range(5):
        raw = outgoing.place(call, large_members({"a": bytes([call]) * (2 * LARGE + call)}))
        tables[call] = read_table(raw, MOST, ["bytes"])
    outgoing.release(2)
    raw = outgoing.place(7, large_members({"a": b"\7" * 2 * LARGE}))
    tables[7] = read_table(raw, MOST, ["bytes"])
    del tables[2]
    for call, table in tables.items():
        assert set(Incoming(fd).read(table)["a"].data) == {call}
    assert length(fd) < 11 * LARGE  # what is given back is used again


def test_memory_is_given_back_when_nothing_needs_it(fd: int) -> None:
    outgoing = Outgoing(fd)
    outgoing.place(1, large_members({"a": bytes(LARGE * 2)}))
    outgoing.place(2, large_members({"a": bytes(KEPT * 4)}))
    outgoing.trim()
    assert length(fd) > KEPT * 4
    outgoing.release(2)
    outgoing.trim()
    assert length(fd) == LARGE * 2
    outgoing.place(3, large_members({"a": bytes(KEPT + 1)}))
    outgoing.release(1)
    outgoing.trim()
    assert length(fd) > KEPT
    outgoing.release(3)
    outgoing.trim()
    assert length(fd) == 0


def test_pages_are_kept_for_the_next_message(fd: int) -> None:
    outgoing = Outgoing(fd)
    for call in range(3):
        outgoing.place(call, large_members({"a": bytes(KEPT * 3)}))
        outgoing.release(call)
        assert length(fd) == KEPT * 3


def test_a_value_that_is_mapped_ends_the_file(fd: int) -> None:
    outgoing = Outgoing(fd)
    for size in (3 * MAPPED, MAPPED):
        outgoing.place(size, large_members({"a": bytes(size)}))
        assert length(fd) == size
        outgoing.release(size)
    outgoing.place(1, large_members({"a": bytes(2 * LARGE)}))
    assert length(fd) == MAPPED


def test_a_small_file_is_kept(fd: int) -> None:
    outgoing = Outgoing(fd)
    outgoing.place(1, large_members({"a": bytes(KEPT)}))
    outgoing.release(1)
    outgoing.trim()
    assert length(fd) == KEPT


def test_what_was_changed_meanwhile_is_not_sent(fd: int) -> None:
    data = bytearray(KEPT * 2)
    values = large_members({"first": bytes(KEPT), "a": data})
    del data[KEPT:]
    outgoing = Outgoing(fd)
    with pytest.raises(Changed, match="'a' was changed"):
        outgoing.place(1, values)
    outgoing.place(2, large_members({"a": b"x" * LARGE * 2}))
    assert os.pread(fd, 1, 0) == b"x"  # nothing of the first message is kept


def test_a_file_that_cannot_be_written_is_an_os_error(fd: int) -> None:
    reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    outgoing = Outgoing(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        outgoing.place(1, [Large("a", bytes(LARGE), "bytes", LARGE)])
    outgoing.release(1)
    os.close(reading)


@pytest.mark.parametrize("type_", ["bytes", "ndarray"])
@pytest.mark.parametrize("offset", [1, 4096, 2**40, 2**62, 2**63 - 1 - MAPPED])
def test_what_is_not_there_whole_is_a_value_error(fd: int, type_: Any, offset: int) -> None:
    os.pwrite(fd, bytes(MAPPED), 0)
    placed = Placed("a", offset, MAPPED, type_, "|u1", (MAPPED,))
    with pytest.raises(ValueError, match="`memory` ends before"):
        Incoming(fd).read([placed])


def test_nothing_is_read_beyond_a_value(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if more had been written after a look at the end.
    monkeypatch.setattr(Incoming, "_room_for", lambda _, placed: 2 * placed.size)
    os.pwrite(fd, b"a" * MAPPED + b"b" * MAPPED, 0)
    held = Incoming(fd).read([Placed("a", 0, MAPPED, "bytes")])["a"]
    assert held.data == b"a" * MAPPED


def test_a_value_of_no_bytes_is_there(fd: int) -> None:
    placed = [Placed("a", 5, 0, "bytes"), Placed("b", 5, 0, "ndarray", "<f4", (2, 0))]
    read = Incoming(fd).read(placed)
    assert read["a"].value() == b""
    assert read["b"].value().shape == (2, 0)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def read_and_forget() -> None:
    fd = os.memfd_create("test")
    incoming, placed = Incoming(fd), [Placed("a", 0, 20 * MEGABYTE, "bytes")]
    os.ftruncate(fd, 20 * MEGABYTE)
    incoming.read(placed)  # what malloc learns from it counts too
    before = resident()
    for _ in range(3):
        read = incoming.read(placed)
        assert resident() - before > 18 * MEGABYTE
        del read
        assert resident() - before < 2 * MEGABYTE


def test_the_bytes_of_a_large_value_return_to_the_kernel_with_it() -> None:
    # In a process whose heap nobody has used before.
    code = "from tests.unit.test_memory_files import read_and_forget; read_and_forget()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

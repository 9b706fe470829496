"""A bridge of large values, and one that lies about where they are."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge import Bridge, current_call
from bridge.messages import Success, to_json
from bridge.messages.memory import LARGE

bridge = Bridge()


@bridge.command
def same(value: Any) -> Any:
    """Return what was given, alone."""
    return value


@bridge.command
async def same_on_loop(value: Any) -> Any:
    return value


@bridge.command
def members(**values: Any) -> dict[str, Any]:
    """Return what was given, as members."""
    return values


@bridge.command
def kind(value: Any) -> dict[str, Any]:
    """Say what was given."""
    said: dict[str, Any] = {"type": type(value).__name__}
    if isinstance(value, np.ndarray):
        said |= {"dtype": value.dtype.str, "shape": list(value.shape)}
        value.flat[0] = value.flat[0]  # it can be written
    return said


@bridge.command
def typed(data: bytes, weights: NDArray[np.float32], scale: float = 1.0) -> dict[str, Any]:
    return {"data": data[::-1], "weights": weights * scale, "dtype": weights.dtype.str}


@bridge.command
def total(numbers: list[float]) -> float:
    return sum(numbers)


class Record(msgspec.Struct, rename="camel"):
    raw_data: bytes
    weights: NDArray[Any] | None = None
    n: int = 1


@dataclass
class Plain:
    raw_data: bytes
    n: int = 1


@bridge.command
def record(size: int) -> Record:
    return Record(bytes(size), np.arange(size, dtype="f4"))


@bridge.command
def plain(size: int) -> Plain:
    return Plain(bytes(size))


@bridge.command
def items(size: int) -> Iterator[bytes]:
    """A stream, whose items are in the JSON, however large."""
    yield bytes(size)


@bridge.command
def made(size: int) -> bytes:
    return bytes(size)


@bridge.command
def both(size: int) -> dict[str, Any]:
    """As many bytes in memory as characters in the JSON."""
    return {"data": bytes(size), "text": "x" * size}


@bridge.command
def late(data: bytes, seconds: float) -> bytes:
    time.sleep(seconds)
    return data


@bridge.command
def weighed(data: bytes, seconds: float) -> int:
    time.sleep(seconds)
    return len(data)


@bridge.command
def leave(data: bytes) -> None:
    os._exit(len(data) % 7)


@bridge.command
def fail_with(data: bytes) -> None:
    raise ValueError(f"{len(data)} bytes")


@bridge.command
def sizes() -> list[int]:
    """The lengths of the two files: requests, results."""
    return [os.fstat(fd).st_size for fd in _files()]


@bridge.command
def seal() -> None:
    """Keep the pool from ever writing to this worker's requests again."""
    fcntl.fcntl(_files()[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


@bridge.command
def inherited() -> str:
    """The files in memory that a process has which this one starts."""
    script = "ls -l /proc/self/fd | grep -c memfd || true"
    done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, close_fds=False)
    return done.stdout.decode()


def _memory() -> Any:
    """This process's own; None if it has none."""
    wire: Any = current_call().wire
    return wire.memory


def _files() -> list[int]:
    """The descriptors of the two files; that of the requests was made first."""
    entries = list(Path("/proc/self/fd").iterdir())
    return sorted(int(entry.name) for entry in entries if "memfd" in os.path.realpath(entry))


LIES: dict[str, Any] = {
    "no table": 5,
    "no entries": [1],
    "a negative offset": {"offset": -1},
    "an offset beyond": {"offset": 2**40},
    "an enormous offset": {"offset": 2**63 - 1},
    "a negative size": {"size": -1},
    "a size beyond": {"size": 2 * LARGE},
    "an enormous size": {"size": 2**62},
    "another type": {"type": "pickle"},
    "another dtype": {"type": "ndarray", "dtype": "O", "shape": [LARGE // 8]},
    "another shape": {"type": "ndarray", "dtype": "<f4", "shape": [LARGE]},
    "a negative shape": {"type": "ndarray", "dtype": "|u1", "shape": [-1]},
    "two at once": [{"at": None}, {"at": None}],
}


@bridge.command
def lie(what: str, at: str | None = None) -> None:
    """Reply with a table that cannot be true."""
    true = {"at": at, "offset": 0, "size": LARGE, "type": "bytes"}
    lie = LIES[what]
    table = lie
    if isinstance(lie, dict):
        table = [{**true, **lie}]
    elif isinstance(lie, list):
        table = [{**true, **one} if isinstance(one, dict) else one for one in lie]
    _reply(table, b"{}")


@bridge.command
def wrong_place(result: Any) -> None:
    """Reply with a member in memory of what may have no members."""
    _reply([{"at": "a", "offset": 0, "size": LARGE, "type": "bytes"}], to_json(result))


@bridge.command
def cut_short() -> bytes:
    """Reply with a value, and cut its file short before anybody can have read it."""
    call = current_call()
    result = bytes(LARGE * 2)
    reply = _memory().success(_memory().large_in(result), call.id, result)
    os.ftruncate(_files()[1], LARGE)
    call.wire.send(reply)
    time.sleep(3600)
    return b""


@bridge.command
def claim(size: int, seconds: float = 0.0) -> dict[str, str]:
    """Tell of memory whether there is any or not."""
    time.sleep(seconds)
    _reply([{"at": None, "offset": 0, "size": size, "type": "bytes"}], b'{"in":"JSON"}', False)
    return {}


def _reply(table: Any, result: bytes, waits: bool = True) -> None:
    call = current_call()
    if _memory() is not None:
        os.ftruncate(_files()[1], LARGE)
    raw = msgspec.Raw(to_json(table))
    call.wire.send(Success(call.id, True, msgspec.Raw(result), time.time(), memory=raw))
    if waits:
        time.sleep(3600)


without_numpy = Bridge()


@without_numpy.on_start
def forget_numpy() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "numpy"]:
        del sys.modules[name]
    sys.modules["numpy"] = None  # type: ignore[assignment]


without_numpy.command(same)

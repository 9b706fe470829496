"""Echo of text and of bytes of 1 and of 16 MiB on one worker, one call after the other.

`python -m benchmarks.bench_payload [--quick]` writes `benchmarks/results/payload.json`.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

from benchmarks.pools import LIMIT, OURS, Contender
from benchmarks.processes import descendants, memory
from benchmarks.report import Column, Report, compare, main
from benchmarks.running import Answers, Sample, by_contender

SIZES = {"1 MiB": 2**20, "16 MiB": 2**24}
RAW = "bytes"
"""Frames that nobody encodes or decodes."""

BLOB = "blob"
"""Bytes as an argument and as the result."""

BASE64 = "bridgepool, base64"
BLOBS = ["bridgepool, memory", BASE64]

CONTENDERS = [
    ("bridgepool, checkout", "echo"),
    ("bridgepool, call, uvloop", "echo"),
    ("limit: blocking pipe", RAW),
    ("limit: blocking socketpair", RAW),
    ("limit: blocking pipe", "echo"),
    ("limit: add_reader, pipe", "echo"),
    ("limit: add_reader, socketpair", "echo"),
    ("mpire", "echo"),
    ("multiprocessing.connection", "echo"),
    ("ProcessPoolExecutor spawn", "echo"),
    *((name, BLOB) for name in BLOBS),
]
COLUMNS = [
    Column("MB/s", "mb_per_s"),
    Column("MB/s / limit's", "mb_per_s", over=LIMIT),
    Column("MB/s / ours", "mb_per_s", over=OURS),
]
BLOB_COLUMNS = [
    Column("MB/s", "mb_per_s"),
    Column("MB/s / base64's", "mb_per_s", over=BASE64),
    Column("memory left behind MB", "left_mb"),
]


async def measure(contender: Contender, job: str, size: str, seconds: float) -> dict[str, Any]:
    """MB (of 10^6 bytes) a second, each payload counted once a round trip; of the median call."""
    length = SIZES[size]
    text = "0123456789abcdef" * (length // 16)
    # An object for all, as commands take objects.
    value: Any = {"text": text} if job == "echo" else text.encode()
    await contender.start(1, job)
    processes = [os.getpid(), *descendants()]
    before = memory(processes)[0]
    for _ in range(2):
        await contender.alone(value)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        reply = await contender.alone(value)
        took.append(time.perf_counter() - began)
    if reply != value:
        raise ValueError("the reply is not what was sent")
    del reply
    return {
        "mb_per_s": length / 1e6 / statistics.median(took),
        "left_mb": memory(processes)[0] - before,
    }


def plan(*, quick: bool) -> list[Sample]:
    seconds = 0.2 if quick else 0.6
    return [
        Sample("bench_payload", name, (("job", job), ("size", size), ("seconds", seconds)))
        for name, job in CONTENDERS
        for size in SIZES
    ]


def report(taken: Answers) -> Report:
    found = {size: _of(taken, size) for size in SIZES}
    tables = [compare(f"Echo of {size} of text", each, COLUMNS) for size, each in found.items()]
    for size in SIZES:
        blobs = by_contender(taken, {"size": size, "job": BLOB})
        tables.append(compare(f"Echo of {size} of bytes", blobs, BLOB_COLUMNS))
    return Report(
        tables,
        {f"Echo of {size}, MB/s": (answers, "mb_per_s") for size, answers in found.items()},
    )


def _of(taken: Answers, size: str) -> dict[str, list[dict[str, Any]]]:
    raw = by_contender(taken, {"size": size, "job": RAW})
    encoded = by_contender(taken, {"size": size, "job": "echo"})
    return encoded | {f"{name}, raw bytes": answers for name, answers in raw.items()}


if __name__ == "__main__":
    main("payload")

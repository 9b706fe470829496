"""The memory of a profile of ten million calls, and what it costs to be told of one.

Calls are made up, in batches as the pool tells of them: of more commands and phases than
a profile tells apart, with durations over five orders of magnitude.
`python -m benchmarks.profile_memory [CALLS]` prints a line for each tenth of them.
"""

from __future__ import annotations

import gc
import sys
from random import Random
from time import process_time

import msgspec
from msgspec import Raw

from pool.profile.book import Book
from pool.telemetry.events import CallFinished, Event
from pool.telemetry.tables import CallsFinished
from pool.usage import own_usage

CALLS = 10_000_000
BATCH = 1_000
COMMANDS = 300
PHASES = 60


def batch(random: Random, at: float) -> list[Event]:
    """A table of calls, a twentieth of them with phases."""
    events = []
    for place in range(BATCH):
        seconds = random.lognormvariate(-6, 2)
        command = f"command {int(random.expovariate(0.05)) % COMMANDS}"
        phases = _phases(random, seconds) if place % 20 == 0 else None
        sizes = (random.randrange(10_000), random.randrange(10_000))
        events.append(
            CallFinished(
                *("p", at, f"w-{place % 8}", command, "ok", seconds / 10, seconds, seconds / 2),
                *sizes,
                phases=phases,
            )
        )
    return [CallsFinished.from_events(events)]


def _phases(random: Random, seconds: float) -> Raw:
    return Raw(msgspec.json.encode({f"phase {random.randrange(PHASES)}": seconds / 3}))


def feed(book: Book, calls: int, random: Random, at: float = 0.0) -> float:
    """Tell of so many calls; return the seconds that the profile took of it."""
    spent = 0.0
    for number in range(calls // BATCH):
        # Made afresh now and then: making them takes longer than telling of them.
        if number % 50 == 0:
            events = batch(random, at + number)
        began = process_time()
        book.hear(events)
        spent += process_time() - began
    return spent


def held() -> int:
    """Bytes that this process has resident."""
    gc.collect()
    return own_usage().resident


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    random = Random(0)
    cost = feed(Book(0.0, 100, 0.0), 100_000, random) / 100_000
    print(f"a call of {COMMANDS} commands costs {cost * 1e6:.2f} us")
    book, before = Book(0.0, 100, 0.0), held()
    for tenth in range(1, 11):
        feed(book, calls // 10, random, float(tenth))
        print(f"{tenth * calls // 10:>12,} calls  {(held() - before) / 1e6:6.2f} MB", flush=True)
    report = book.report(1.0, "p", "")
    assert report.calls == calls // 10 // BATCH * BATCH * 10
    print(f"{len(report.commands)} commands, {len(report.to_json()) / 1e6:.2f} MB of JSON")


if __name__ == "__main__":
    main()

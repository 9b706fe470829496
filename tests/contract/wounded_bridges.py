"""Bridges that are well, and bridges with one wound each, which a profile is to find."""

from __future__ import annotations

import time

from bridge import Bridge

MEGABYTE = 1024 * 1024
NAMES = ("parse", "split", "embed", "rank", "score", "merge", "trim", "format", "store", "quote")

well = Bridge()
leaks = Bridge()
slow_command = Bridge()
slow_call = Bridge()
slow_start = Bridge()

_kept: list[bytes] = []
_calls = 0


@leaks.command
def remember() -> None:
    """Keep a megabyte of each call."""
    _kept.append(b"x" * MEGABYTE)
    time.sleep(0.001)


@slow_call.command
def answer() -> None:
    """Take long each tenth time."""
    global _calls
    _calls += 1
    time.sleep(0.5 if _calls % 10 == 0 else 0.002)


@slow_start.on_start
def load() -> None:
    time.sleep(2.5)


@well.command
@slow_start.command
def work() -> None:
    """Use memory, and give it back."""
    scratch = b"x" * MEGABYTE
    time.sleep(0.002)
    del scratch


def _ten_commands() -> None:
    """All quick but for `rank`, in one of the bridges."""
    for name in NAMES:
        well.command(_napping(name, 0.002))
        slow_command.command(_napping(name, 0.25 if name == "rank" else 0.002))


def _napping(name: str, seconds: float):  # type: ignore[no-untyped-def]
    def command() -> None:
        time.sleep(seconds)

    command.__name__ = name
    return command


_ten_commands()

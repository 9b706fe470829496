"""Bridges that let out what they know, wherever they can."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from typing import Any

from bridge import Bridge

SPLIT = "SPLIT"
"""Where a text is cut in two writes."""


class Leak(Exception):
    def __init__(self, text: str, details: Any) -> None:
        super().__init__(text)
        self.details = details


def known() -> str:
    """All that there is to leak, in one line."""
    return repr(dict(os.environ))


def say(text: str) -> None:
    """Write to stderr, in two writes where the text says so."""
    for part in text.split(SPLIT):
        os.write(2, part.encode())
        time.sleep(0.02)


at_start = Bridge()


@at_start.on_start
def fail_at_start(options: dict[str, Any]) -> None:
    say(f"options: {options}\n{known()}\n")
    raise Leak(f"{options} {known()}", {"options": options, "environment": dict(os.environ)})


at_preload = Bridge()


@at_preload.preload
def fail_at_preload(options: dict[str, Any]) -> None:
    say(f"options: {options}\n{known()}\n")
    raise RuntimeError(f"{options} {known()}")


in_hazards = Bridge()


@in_hazards.preload
def leave_hazards(options: dict[str, Any]) -> None:
    """What keeps the process from being forked, and what it is, is told to people."""
    key = options["token"][0]
    threading.Thread(target=time.sleep, args=(3600,), name=f"thread {key}", daemon=True).start()
    platform.python_version = lambda: key


in_calls = Bridge()


@in_calls.on_start
def start(options: dict[str, Any]) -> None:
    say(f"starts with {options}\n")


@in_calls.command
def raise_it(said: str, api_key: str = "") -> None:
    raise Leak(f"{said} {known()}", {"said": [said], said: dict(os.environ)})


@in_calls.command
def raise_as(said: str, api_key: str = "") -> None:
    """Raise an error whose very name is a secret."""
    raise type(f"Error {said} {os.environ['PLANTED_API_KEY']}", (Exception,), {})


@in_calls.command
def crash_with(said: str, api_key: str = "") -> None:
    say(f"{known()}\n{said}\n")
    os._exit(3)


@in_calls.command
def print_it(said: str, api_key: str = "") -> dict[str, str]:
    say(f"{said}\n")
    print(f"printed: {said.replace(SPLIT, '')}", file=sys.stderr, flush=True)
    return {"said": said}

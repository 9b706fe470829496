"""Bridges that show what a template does, and what keeps it from forking."""

from __future__ import annotations

import atexit
import os
import random
import secrets
import signal
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bridge import Bridge


class Options(msgspec.Struct):
    preload: str = ""
    goodbye: str = ""
    path: str = ""


shows = Bridge()
_kept: list[Any] = []
_loaded: dict[str, int] = {"imported": os.getpid()}


@shows.preload
async def load(options: Options) -> None:
    """What `options.preload` says; most of it must not be done in a preload."""
    _loaded["preloaded"] = os.getpid()
    _loaded["preloads"] = _loaded.get("preloads", 0) + 1
    if options.preload:
        _VICES[options.preload](options)


@shows.on_start
def start(options: Options) -> None:
    _loaded["started"] = os.getpid()
    if options.goodbye:
        atexit.register(Path(options.goodbye).write_text, "goodbye")


@shows.command
def loaded() -> dict[str, int]:
    return _loaded


@shows.command
def descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if os.path.lexists(f"/proc/self/fd/{name}"):
            found[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
    return found


@shows.command
def draws() -> list[str]:
    """One draw from each source of randomness that a fork could have copied."""
    own = [random.random(), np.random.random(), secrets.token_hex(8), uuid.uuid4(), uuid.uuid1()]
    return [str(draw) for draw in own]


@shows.command
def group() -> dict[str, Any]:
    """What makes a process one of its own."""
    return {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "comm": Path("/proc/self/comm").read_text().strip(),
        "threads": [thread.name for thread in threading.enumerate()],
        "sigterm": signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL,
    }


def _start_thread(_: Options) -> None:
    threading.Thread(target=time.sleep, args=(600,), name="the-ticker", daemon=True).start()


def _start_thread_later(_: Options) -> None:
    """When the template has long said that it is safe."""
    signal.signal(signal.SIGUSR1, lambda *_: _start_thread(Options()))


def _open_file(options: Options) -> None:
    _kept.append(os.open(options.path, os.O_CREAT | os.O_WRONLY))


def _open_socket(_: Options) -> None:
    _kept.append(socket.socket())


def _open_null(_: Options) -> None:
    _kept.append(os.open(os.devnull, os.O_RDONLY))


def _fail(_: Options) -> None:
    raise RuntimeError("no such table")


def _hang(_: Options) -> None:
    time.sleep(600)


def _exit(_: Options) -> None:
    sys.exit(7)


def _die(_: Options) -> None:
    print("about to die", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


_VICES = {
    "thread": _start_thread,
    "thread later": _start_thread_later,
    "file": _open_file,
    "socket": _open_socket,
    "null": _open_null,
    "fail": _fail,
    "hang": _hang,
    "exit": _exit,
    "die": _die,
}

"""A bridge that misbehaves on demand, to try what a pool does about it.

It has the commands of `bridge.echo`, those of `together`, and one for each
vice. Vices of the start-up and of the ending are chosen by `options` (see
`Options`). One that is given as a place and a way (see `vices`) is an option
or armed by a call.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bridge import Bridge, current_call, ending
from bridge.echo import aecho, asleep, blob, count, echo, fail, pid, sleep
from bridge.faulty import together, vices
from bridge.faulty.vices import FOREVER, How, Vice, Where
from bridge.messages import success

Way = Literal["exit", "signal", "segfault", "abort", "exception"]


class Options(Struct, forbid_unknown_fields=True):
    """How the start-up and the ending misbehave."""

    slow_start: float = 0.0
    never_ready: bool = False
    exit_before_ready: int | None = None
    fail_start: str | None = None
    exit_while_exists: str | None = None
    crash_on_call: int | None = None
    crash_way: Way = "exit"
    ignore_sigterm: bool = False
    ignore_end_of_file: bool = False
    vice: Vice | None = None


bridge = Bridge()
_leaked: list[bytearray] = []
_calls = 0
_options = Options()

_others: list[Callable[..., object]] = [echo, aecho, sleep, asleep, pid, fail, count, blob]
for _command in (*_others, *together.COMMANDS):
    bridge.command(_command)


@bridge.on_start
def start(options: Options) -> None:
    """Misbehave as the options say before the bridge is ready."""
    global _options
    _options = options
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.ignore_end_of_file:
        _ignore_end_of_file()
    if options.exit_before_ready is not None:
        print("faulty: told to exit before it is ready", file=sys.stderr, flush=True)
        os._exit(options.exit_before_ready)
    if options.exit_while_exists and Path(options.exit_while_exists).exists():
        print("faulty: exits while the file exists", file=sys.stderr, flush=True)
        os._exit(3)
    if options.fail_start is not None:
        raise RuntimeError(options.fail_start)
    if options.vice is not None:
        vices.arm(options.vice)
    vices.reach("starting")
    time.sleep(FOREVER if options.never_ready else options.slow_start)


def _ignore_end_of_file() -> None:
    ending.exit_after = _never
    threading.Thread(target=time.sleep, args=(FOREVER,)).start()


def _never(seconds: float, status: int) -> None:
    time.sleep(FOREVER)


@bridge.command
def arm(where: Where, how: How) -> None:
    """Have the process fail the next time that it is there; see `vices`."""
    vices.arm(Vice(where, how))


@bridge.command
def shutdown() -> dict[str, object]:
    """End as every bridge does, unless a vice is armed for it."""
    vices.reach("closing")
    return {}


@bridge.command
def work() -> dict[str, int]:
    """Answer, but crash on the call whose number is `crash_on_call`."""
    global _calls
    _calls += 1
    vices.reach("running")
    if _calls == _options.crash_on_call:
        crash(_options.crash_way)
    return {"calls": _calls}


@bridge.command
def crash(way: Way = "exit", status: int = 3, number: int = signal.SIGKILL) -> None:
    """End the process: by `os._exit(status)`, a signal, a segmentation fault or an exception."""
    match way:
        case "exit":
            os._exit(status)
        case "signal":
            os.kill(os.getpid(), number)
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exception":
            raise SystemExit(status)


@bridge.command
def answer_and_crash(status: int = 3) -> None:
    """Answer properly, then end the process."""
    call = current_call()
    call.wire.send(success(call.id, {"answered": True}))
    os._exit(status)


@bridge.command
def hang() -> None:
    """Never answer, with the GIL released."""
    time.sleep(FOREVER)


@bridge.command
def hold_gil(seconds: int) -> dict[str, int]:
    """Sleep in C code that does not release the GIL."""
    ctypes.PyDLL(None).sleep(seconds)
    return {"held": seconds}


@bridge.command
def half_frame() -> None:
    """Write the beginning of a frame and die."""
    current_call().wire.write(struct.pack(">I", 1000) + b'{"id": 1, "succ')
    os._exit(0)


@bridge.command
def huge_length() -> None:
    """Announce a frame of 4 GiB."""
    current_call().wire.write(struct.pack(">I", 0xFFFFFFFF))
    time.sleep(FOREVER)


@bridge.command
def garbage() -> None:
    """Write a frame that is not JSON."""
    current_call().wire.write(struct.pack(">I", 12) + b"\x00not a reply")
    time.sleep(FOREVER)


@bridge.command
def wrong_id() -> dict[str, bool]:
    """Answer a call that was never made."""
    call = current_call()
    call.wire.send(success(call.id + 1_000_000, {"wrong": True}))
    return {"wrong": False}


@bridge.command
def duplicate_reply() -> dict[str, int]:
    """Answer twice."""
    call = current_call()
    call.wire.send(success(call.id, {"answer": 1}))
    return {"answer": 2}


@bridge.command
def late_reply(seconds: float) -> dict[str, str]:
    """Answer after `seconds`, when the caller may be gone."""
    time.sleep(seconds)
    return {"answer": "late"}


@bridge.command
def close_stdout() -> None:
    """Close the wire's writing end and live on."""
    os.close(current_call().wire.write_fd)
    time.sleep(FOREVER)


@bridge.command
def print_on_stdout(text: str) -> dict[str, str]:
    """Print from Python, from C and from a child process on fd 1."""
    print(f"python: {text}", flush=True)
    os.write(1, f"descriptor: {text}\n".encode())
    libc = ctypes.CDLL(None)
    libc.puts(f"c: {text}".encode())
    libc.fflush(None)
    subprocess.run(["echo", f"child: {text}"], check=True)
    return {"printed": text}


@bridge.command
def flood_stderr(megabytes: int = 100) -> dict[str, int]:
    """Write that much to stderr."""
    line = b"x" * 1023 + b"\n"
    for _ in range(megabytes):
        os.write(2, line * 512)
        os.write(2, line * 512)
    return {"megabytes": megabytes}


@bridge.command
def leave_grandchild() -> dict[str, int]:
    """Fork a process that holds every descriptor of this one, the wire included."""
    child = os.fork()
    if child == 0:
        time.sleep(FOREVER)
    return {"pid": child}


@bridge.command
def leak(megabytes: int) -> dict[str, int]:
    """Keep that much more memory for ever."""
    _leaked.append(bytearray(os.urandom(1024) * 1024 * megabytes))
    return {"leaked": len(_leaked)}


@bridge.command
def unencodable() -> object:
    """Return what cannot be sent as JSON."""
    return {"value": object()}


@bridge.command
def big_result(size: int) -> dict[str, str]:
    """Return `size` characters."""
    return {"text": "x" * size}

"""A command in a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

COLUMNS, LINES = 80, 30

PATIENCE = 15.0
"""Seconds that a command has until it shows what a test waits for."""

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What moves the cursor, or colours what follows."""


class Terminal:
    """The terminal's other end: what the command has written so far, and keys for it."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master
        self._slave = slave

    def until(self, pattern: str) -> str:
        """Wait until the text that it has written matches, and return all; then begin anew."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, text := SEQUENCE.sub("", self.shown), re.DOTALL):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {text[-3000:]}"
            self._read(0.1)
        shown, self.shown = self.shown, ""
        return shown

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ends(self) -> int:
        """Wait for the command to end; return its status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on: {self.shown!r}"
            self._read(0.02)
        self._read(0.0)
        return self.process.returncode

    def modes(self) -> list[object]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._slave)[:4]

    def _read(self, seconds: float) -> None:
        while select.select([self._master], (), (), seconds)[0]:
            self.shown += os.read(self._master, 65_536).decode(errors="replace")
            seconds = 0.0


def _take_terminal() -> None:
    """In the child: Ctrl-C comes from this terminal, and is heard though these tests ignore it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(
    *arguments: str, stdout: int | None = None, no_color: bool = False
) -> Iterator[Terminal]:
    """Run `bridgepool` with these arguments; what is not given of its streams is a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    others = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "COLORTERM"}
    variables = {name: value for name, value in os.environ.items() if name not in others}
    variables |= {"TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_color else {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "pool", *arguments],
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        env=variables,
        # So that Ctrl-C is a signal to it, and to nobody else.
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    try:
        yield Terminal(process, master, slave)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(master)
        os.close(slave)

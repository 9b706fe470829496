"""Starting a child of the limits, over a pair of pipes or a socketpair."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass


@dataclass
class Child:
    process: subprocess.Popen[bytes]
    read_fd: int
    write_fd: int

    def close(self) -> None:
        """Let it see end of file, and wait for its end."""
        for fd in {self.read_fd, self.write_fd}:
            os.close(fd)
        self.process.wait()


def command(job: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.limits.child", job]


def start(job: str, kind: str) -> Child:
    """`kind` is "pipe" or "socketpair"."""
    return _over_pipes(job) if kind == "pipe" else _over_socketpair(job)


def _over_pipes(job: str) -> Child:
    process = subprocess.Popen(
        command(job), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    child = Child(process, os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno()))
    process.stdin.close()
    process.stdout.close()
    return child


def _over_socketpair(job: str) -> Child:
    ours, theirs = socket.socketpair()
    with theirs:
        end = theirs.fileno()
        process = subprocess.Popen(command(job), stdin=end, stdout=end)
    fd = ours.detach()
    return Child(process, fd, fd)

"""Starts child processes off the event loop, each with a lifeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from subprocess import Popen

import anyio

from pool.exchange.large import Memory
from pool.launch.command import memory_arguments
from pool.launch.descriptors import close_end, open_pipe
from pool.launch.lifeline import guard
from pool.launch.process import ChildProcess

Command = Callable[[int], list[str]]
"""Makes the command line, given the number of the lifeline's descriptor."""

OpenStdin = Callable[[], tuple[int, int]]
"""Returns the child's end and ours."""

OpenMemory = Callable[[], Memory | None]
"""Makes the memory of a worker, which the child is given too."""

Limit = Callable[[int], None]
"""Limits the process of that number; raises `OSError` if that is impossible."""


@dataclass(slots=True)
class Started:
    """A new child and our ends of its stdio, until somebody takes them."""

    popen: Popen[bytes]
    stdin: int
    stdout: int
    stderr: int
    lifeline: int
    memory: Memory | None = None

    def watch(self) -> ChildProcess:
        """Watch the process from here on; its lifeline is let go when it has been reaped."""
        try:
            process = ChildProcess(self.popen)
        except BaseException:
            self.abort()
            raise
        process.exited.add_done_callback(lambda _: close_end(self.lifeline))
        return process

    def abort(self) -> None:
        """Nobody wants the child any more: kill and reap it."""
        self.popen.kill()
        for fd in (self.stdin, self.stdout, self.stderr, self.lifeline):
            close_end(fd)
        if self.memory is not None:
            self.memory.close()
        self.popen.wait()


class Starter:
    """Starting a process blocks until its exec: that is done in threads, `at_once` at a time.

    Until its exec a child is a copy of this process, with ends of all our pipes, and only then is
    its number known. Whoever stops it (SIGSTOP) in that millisecond, and kills this process while
    it is stopped, leaves it and all workers behind: no lifeline is closed before it goes.
    """

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, "bridgepool-launch")

    async def start(
        self,
        command: Command,
        environment: dict[str, str],
        open_stdin: OpenStdin = open_pipe,
        limit: Limit | None = None,
        open_memory: OpenMemory = lambda: None,
    ) -> Started:
        """Start a process in a session of its own; raise `OSError` if that is impossible.

        Cancelled, it leaves nothing behind.
        """
        loop = asyncio.get_running_loop()
        starting = loop.run_in_executor(
            self._threads, _start, command, environment, open_stdin, limit, open_memory
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it brings is killed when it arrives.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([starting])
            if starting.exception() is None:
                starting.result().abort()
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False)


def _start(
    command: Command,
    environment: dict[str, str],
    open_stdin: OpenStdin,
    limit: Limit | None,
    open_memory: OpenMemory,
) -> Started:
    with ExitStack() as undo:
        stdin_r, stdin_w = _open(open_stdin, undo)
        (stdout_r, stdout_w), (stderr_r, stderr_w), (line_r, line_w) = (
            _open(open_pipe, undo) for _ in range(3)
        )
        memory = open_memory()
        if memory is not None:
            undo.callback(memory.close)
        given = memory.fds if memory is not None else ()
        popen = Popen(
            [*command(line_r), *memory_arguments(given)],
            stdin=stdin_r,
            stdout=stdout_w,
            stderr=stderr_w,
            env=environment,
            pass_fds=(line_r, *given),
            start_new_session=True,
        )
        undo.callback(popen.wait)
        undo.callback(popen.kill)
        guard(line_r, popen.pid)
        if limit is not None:
            # Our own child, which nobody has reaped yet: the number cannot be another's. It is
            # an interpreter that starts, milliseconds away from code of the user.
            limit(popen.pid)
        undo.pop_all()
    for fd in (stdin_r, stdout_w, stderr_w, line_r):
        close_end(fd)
    return Started(popen, stdin_w, stdout_r, stderr_r, line_w, memory)


def _open(open_ends: OpenStdin, undo: ExitStack) -> tuple[int, int]:
    ends = open_ends()
    for fd in ends:
        undo.callback(close_end, fd)
    return ends

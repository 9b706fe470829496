"""A worker as anybody on this machine can reach it: its process, and the pipe of its replies."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

_STDERR = 2


class Victim:
    """A worker's process, held by a pidfd: no signal can hit another one of the same number.

    Leaving its block continues it, in case that it was stopped.
    """

    def __init__(self, pid: int) -> None:
        """Raises `OSError` if there is no worker of ours with that pid (any more)."""
        self._pid = pid
        self._pidfd = os.pidfd_open(pid)
        try:
            # Looked for second: who holds a pipe of ours now was there when the pidfd was opened.
            self._our_end()
        except OSError:
            os.close(self._pidfd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):  # it has ended, as most do
            self.signal(signal.SIGCONT)
        os.close(self._pidfd)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; raise `ProcessLookupError` if it is gone."""
        signal.pidfd_send_signal(self._pidfd, number)

    def put_into_replies(self, data: bytes) -> None:
        """Have bytes appear in the pipe as if the worker had written them.

        Raises `OSError` if the pipe is full, or closed meanwhile.
        """
        # Our end is opened a second time, for writing: that works for every pipe in /proc.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        writing = os.open(f"/proc/self/fd/{self._our_end()}", flags)
        try:
            os.write(writing, data)
        finally:
            os.close(writing)

    async def ended(self) -> None:
        """Wait for the end of the process."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        loop.add_reader(self._pidfd, event.set)
        try:
            await event.wait()
        finally:
            loop.remove_reader(self._pidfd)

    def _our_end(self) -> int:
        """Our end of the pipe that the worker writes its replies to.

        It writes to two pipes that we read, and the other one is its stderr.
        That holds for a bridge that has moved its stdout away, spawned or
        forked, and for a foreign one that has not.
        """
        ours = {inode: fd for fd, inode in _pipes("self", stat.S_IRUSR)}
        theirs = dict(_pipes(self._pid, stat.S_IWUSR))
        log = theirs.get(_STDERR)
        for inode in theirs.values():
            if inode in ours and inode != log:
                return ours[inode]
        raise ProcessLookupError(f"process {self._pid} is no worker of this process")


def _pipes(process: int | str, mode: int) -> Iterator[tuple[int, int]]:
    """The descriptors that a process has open on pipes, to read or to write, and their inodes."""
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            pipe = entry.stat()
            permitted = entry.lstat().st_mode
        except FileNotFoundError:
            continue  # closed meanwhile, such as the one this folder is read through
        if stat.S_ISFIFO(pipe.st_mode) and permitted & mode:
            yield int(entry.name), pipe.st_ino

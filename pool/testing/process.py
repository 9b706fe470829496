"""What the pool holds of a scripted child: its process, its stderr, its ends of the pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pool.output import KEPT
from pool.testing.pipes import Pipe


class ScriptedProcess:
    """A process that is nothing but its number and how it ends."""

    def __init__(
        self, pid: int, on_terminate: Callable[[], object], on_kill: Callable[[], object]
    ) -> None:
        self.pid = pid
        self.has_lost_template = False
        self.memory = 0
        """Bytes of its own."""
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._on_terminate = on_terminate
        self._on_kill = on_kill

    async def private_memory(self) -> int | None:
        return None if self.exited.done() else self.memory

    def terminate(self) -> None:
        if not self.exited.done():
            self._on_terminate()

    def kill(self) -> None:
        if not self.exited.done():
            self._on_kill()

    def report(self, returncode: int) -> None:
        """It is reaped, if there still is somebody who tells how it ended."""
        self.exited.set_result(None if self.has_lost_template else returncode)


class ScriptedStderr:
    """What a child said, the last 64 KiB of it, passed on line by line."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.is_closed = False
        self._on_line = on_line
        self._said = ""

    def say(self, text: str) -> None:
        if self.is_closed:
            return
        self._said = (self._said + text)[-KEPT:]
        if self._on_line is not None:
            for line in text.splitlines():
                self._on_line(line)

    def tail(self) -> str:
        return self._said

    def close(self) -> None:
        self.is_closed = True


class ScriptedEnds:
    """Our ends of the pipes to a scripted child."""

    def __init__(self, stdin: Pipe, stdout: Pipe) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def read(self) -> bytes:
        return self._stdout.read()

    def write(self, data: memoryview) -> int:
        return self._stdin.write(data)

    def arrived(self) -> int:
        return self._stdout.held

    def has_hung_up(self) -> bool:
        return not self._stdout.has_writer

    def watch_reading(self, action: Callable[[], object]) -> None:
        self._stdout.readable.watch(action)

    def watch_writing(self, action: Callable[[], object]) -> None:
        self._stdin.writable.watch(action)

    def ignore_writing(self) -> None:
        self._stdin.writable.ignore()

    def close_reading(self) -> None:
        self._stdout.close_reader()

    def close_writing(self) -> None:
        self._stdin.close_writer()

"""What the pool holds of a scripted child: its process, its stderr, its ends of the pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridge.messages.secrets import Secrets
from pool.exchange.ends import WIDE
from pool.testing.pipes import Pipe
from pool.worker.lines import Lines
from pool.worker.output import KEPT


class ScriptedProcess:
    """A process that is nothing but its number and how it ends."""

    def __init__(
        self, pid: int, on_terminate: Callable[[], object], on_kill: Callable[[], object]
    ) -> None:
        self.pid = pid
        self.has_lost_template = False
        self.has_run_out = False
        """Of memory: a SIGKILL of its own is the kernel's then."""
        self.memory = 0
        """Bytes of its own."""
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._on_terminate = on_terminate
        self._on_kill = on_kill

    def ran_out_of_memory(self) -> bool:
        return self.has_run_out

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
    """What a child said, the last 64 KiB of it, passed on line by line; without secrets."""

    def __init__(self, secrets: Secrets, on_line: Callable[[str], None] | None) -> None:
        self.is_closed = False
        self._secrets = secrets
        self._on_line = on_line
        self._lines = Lines(secrets)
        self._said = ""

    def say(self, text: str) -> None:
        if self.is_closed:
            return
        # What is kept beyond what is shown: a secret may begin there.
        self._said = (self._said + text)[-2 * KEPT :]
        self._pass_on(self._lines.feed(text.encode("utf-8", "surrogateescape")))

    def tail(self) -> str:
        return self._secrets.hide(self._said, max(0, len(self._said) - KEPT))

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._pass_on(self._lines.end())

    def _pass_on(self, lines: list[str]) -> None:
        if self._on_line is not None:
            for line in lines:
                self._on_line(line)


class ScriptedEnds:
    """Our ends of the pipes to a scripted child."""

    def __init__(self, stdin: Pipe, stdout: Pipe) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def read(self) -> bytes:
        return self._stdout.read()

    def read_into(self, room: memoryview) -> int:
        data = self._stdout.read(len(room))
        room[: len(data)] = data
        return len(data)

    def widen(self) -> None:
        self._stdin.widen(WIDE)
        self._stdout.widen(WIDE)

    def write(self, data: bytes | memoryview) -> int:
        return self._stdin.write(data)

    def arrived(self) -> int:
        return self._stdout.held

    def has_hung_up(self) -> bool:
        return not self._stdout.has_writer

    def watch_reading(self, action: Callable[[], object]) -> None:
        self._stdout.readable.watch(action)

    def ignore_reading(self) -> None:
        self._stdout.readable.ignore()

    def watch_writing(self, action: Callable[[], object]) -> None:
        self._stdin.writable.watch(action)

    def ignore_writing(self) -> None:
        self._stdin.writable.ignore()

    def close_reading(self) -> None:
        self._stdout.close_reader()

    def close_writing(self) -> None:
        self._stdin.close_writer()

"""The pool's end of one template process: asks it for workers, hears how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import anyio
import msgspec

from bridge.frames import FrameDecoder
from bridge.frames import encode as frame
from bridge.messages.template import (
    Exited,
    Fork,
    Forked,
    FromTemplate,
    Load,
    Loaded,
    Refused,
    Unfit,
    decode_from_template,
    encode,
)
from pool.clock import move_on_after
from pool.errors import describe_exit
from pool.launch.descriptors import adopt_descriptor, close_end
from pool.launch.forked import ForkedProcess
from pool.launch.starter import Started
from pool.output import Output, log_lines_of

ANSWER_WITHIN = 5.0
"""Seconds that a template has to fork, which takes milliseconds; then it is taken for stuck."""

EXIT_WITHIN = 1.0
"""Seconds that a template has to exit, which it does as soon as its connection is closed."""

_READ_SIZE = 64 * 1024
_MAX_FDS = 64
_MAX_MESSAGE = 2**31


class TemplateLost(Exception):
    """The template has ended, or is stuck and was killed."""


class ForkRefused(Exception):
    """The template says that it is not safe to fork; `args` are the hazards."""


@dataclass(slots=True)
class _Asked:
    """A request for a worker; `process` is there as soon as the worker is."""

    answer: asyncio.Future[ForkedProcess]
    lifeline: int
    process: ForkedProcess | None = None

    def settle(self, process: ForkedProcess) -> None:
        if not self.answer.done():
            self.answer.set_result(process)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Template:
    """A process that has loaded the bridge, from its start until it is reaped."""

    def __init__(self, name: str, started: Started) -> None:
        self.name = name
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._process = started.watch()
        close_end(started.stdout)
        self._stderr = Output(started.stderr, log_lines_of(name))
        self._control = started.stdin
        os.set_blocking(self._control, False)
        self._outbox = memoryview(b"")
        self._decoder = FrameDecoder(_MAX_MESSAGE)
        self._pidfds: list[int] = []
        self._numbers = count(1)
        self._loaded: asyncio.Future[Loaded | Unfit] = self._loop.create_future()
        self._asked: dict[int, _Asked] = {}
        self._workers: dict[int, ForkedProcess] = {}
        self._is_retired = False
        self._overdue: asyncio.TimerHandle | None = None
        self._process.exited.add_done_callback(self._on_exit)
        self._loop.add_reader(self._control, self._read)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exited(self) -> asyncio.Future[int | None]:
        """Done when the process is reaped."""
        return self._process.exited

    @property
    def said(self) -> str:
        """The last of what it wrote to stderr."""
        return self._stderr.tail()

    # Asking

    async def load(self, order: Load) -> Loaded | Unfit:
        """Have it import the target; raise `TemplateLost` if it dies over it."""
        self._outbox = memoryview(frame(encode(order), _MAX_MESSAGE))
        self._flush()
        return await self._loaded

    def _flush(self) -> None:
        """Write what the socket takes; options may be larger than that."""
        try:
            written = os.write(self._control, self._outbox)
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(self._outbox)  # it has ended; whoever reads is told
        self._outbox = self._outbox[written:]
        if self._outbox:
            self._loop.add_writer(self._control, self._flush)
        else:
            self._loop.remove_writer(self._control)

    async def fork(self, worker: str, fds: list[int], lifeline: int) -> ForkedProcess:
        """Have it make a worker that owns copies of `fds`; our end of its lifeline is taken over.

        Raises `TemplateLost`, `ForkRefused`, or `OSError` if the kernel would
        not fork. Cancelled, the worker is killed when it comes.
        """
        number = next(self._numbers)
        asked = self._asked[number] = _Asked(self._loop.create_future(), lifeline)
        try:
            self._send(Fork(number, worker), fds)
            await self._wait_for(asked.answer)
            return await asked.answer
        except BaseException:
            if asked.process is None:
                close_end(lifeline)
            else:
                asked.process.kill()
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([asked.process.exited], timeout=EXIT_WITHIN)
            raise
        finally:
            del self._asked[number]

    async def _wait_for(self, answer: asyncio.Future[ForkedProcess]) -> None:
        """Kill the template if it does not answer in time."""
        with move_on_after(ANSWER_WITHIN):
            await asyncio.wait([answer])
        if not answer.done():
            self.kill()

    def _send(self, message: Fork, fds: list[int]) -> None:
        if self.is_lost:
            raise TemplateLost(self.name)
        try:
            # A message this small goes whole or not at all.
            with _borrowed(self._control) as control:
                socket.send_fds(control, [frame(encode(message))], fds)
        except OSError:
            self.kill()
            raise TemplateLost(self.name) from None

    # Hearing

    def _read(self) -> None:
        try:
            with _borrowed(self._control) as control:
                data, fds, _, _ = socket.recv_fds(
                    control, _READ_SIZE, _MAX_FDS, socket.MSG_CMSG_CLOEXEC
                )
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._pidfds += map(adopt_descriptor, fds)
        self._decoder.feed(data)
        while not self.is_lost and (payload := self._decoder.next()) is not None:
            self._hear(payload)
        if not data and not self.is_lost:
            self.close()

    def _hear(self, payload: bytes) -> None:
        try:
            message: FromTemplate = decode_from_template(payload)
        except msgspec.DecodeError:
            self.kill()
            return
        match message:
            case Loaded() | Unfit():
                if not self._loaded.done():
                    self._loaded.set_result(message)
            case Forked(number, pid) if self._pidfds:
                self._on_forked(number, pid, self._pidfds.pop(0))
            case Forked(number):
                # The kernel drops what would exceed the limit; its lifeline ends the worker.
                self._on_refused(number, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
            case Refused(number, hazards, error):
                self._on_refused(number, ForkRefused(*hazards) if hazards else OSError(error))
            case Exited(pid, returncode):
                if pid in self._workers:
                    self._workers[pid].tell(returncode)

    def _on_forked(self, number: int, pid: int, pidfd: int) -> None:
        asked = self._asked.get(number)
        if asked is None:
            # Whoever asked was cancelled. The template reaps it.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            close_end(pidfd)
            return
        # Here and not where it is awaited: that it has ended may be the next message.
        process = asked.process = self._workers[pid] = ForkedProcess(pid, pidfd, asked.lifeline)
        process.exited.add_done_callback(lambda _: self._forget(process))
        asked.settle(process)

    def _on_refused(self, number: int, error: Exception) -> None:
        asked = self._asked.get(number)
        if asked is not None:
            asked.fail(error)

    # Ending

    def retire(self) -> None:
        """Make no more workers; go when the last of those it has made is gone."""
        self._is_retired = True
        if not self._workers:
            self.close()

    def resume(self) -> None:
        """Undo `retire`; of no use if it has gone."""
        self._is_retired = False

    def close(self) -> None:
        """Have it exit; `exited` tells when it has."""
        self._hang_up()
        self._overdue = self._loop.call_later(EXIT_WITHIN, self._process.kill)

    async def ended(self) -> None:
        """Wait until it is reaped."""
        await asyncio.wait([self.exited])

    def kill(self) -> None:
        """End it for certain."""
        self._process.kill()
        self._hang_up()

    def _story(self) -> str:
        """How it ended, and the last it said."""
        returncode = self.exited.result() if self.exited.done() else None
        said = self.said.strip()[-2000:]
        return describe_exit(returncode) + (f", saying {said!r}" if said else "")

    def _hang_up(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        close_end(self._control)
        for pidfd in self._pidfds:
            close_end(pidfd)
        for asked in self._asked.values():
            asked.fail(TemplateLost(self.name))

    def _on_exit(self, _: object) -> None:
        self._hang_up()
        if self._overdue is not None:
            self._overdue.cancel()
        self._stderr.close()
        if not self._loaded.done():
            self._loaded.set_exception(TemplateLost(self._story()))
            self._loaded.exception()  # nobody may be waiting
        # Only now have they a new parent, and can be asked for their status where that is us.
        for worker in list(self._workers.values()):
            worker.lose_template()

    def _forget(self, process: ForkedProcess) -> None:
        if self._workers.get(process.pid) is process:
            del self._workers[process.pid]
        if self._is_retired and not self._workers and not self.is_lost:
            self.close()


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """The descriptor as a socket, for a moment: one that was kept would close its number again
    in a child that the application forks, where by then it may be another's.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        yield control
    finally:
        control.detach()

"""The pool's end of one template process: asks it for workers, hears how they ended."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from dataclasses import dataclass
from itertools import count

import anyio

from bridge.messages import MAX_ERROR_TEXT
from bridge.messages.secrets import Secrets
from bridge.messages.template import (
    Exited,
    Fork,
    Forked,
    FromTemplate,
    Load,
    Loaded,
    Refused,
    Unfit,
)
from pool.clock import move_on_after
from pool.errors import describe_exit
from pool.launch.control import Control
from pool.launch.descriptors import close_end
from pool.launch.forked import ForkedProcess, is_worker
from pool.launch.starter import Started
from pool.quotes import excerpt
from pool.worker.output import Output, log_lines_of

ANSWER_WITHIN = 5.0
"""Seconds that a template has to fork, which takes milliseconds; then it is taken for stuck."""

EXIT_WITHIN = 1.0
"""Seconds that a template has to exit, which it does as soon as its connection is closed."""

MAX_PHRASES = 100
"""Hazards and problems that are heard of what one message lists."""

_log = logging.getLogger("bridgepool")


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

    def __init__(self, name: str, started: Started, secrets: Secrets) -> None:
        self.name = name
        self._secrets = secrets
        self._loop = asyncio.get_running_loop()
        self._process = started.watch()
        close_end(started.stdout)
        self._stderr = Output(started.stderr, secrets, log_lines_of(name))
        self._control = Control(started.stdin, self._hear, self.close, self._on_nonsense)
        self._numbers = count(1)
        self._loaded: asyncio.Future[Loaded | Unfit] = self._loop.create_future()
        self._asked: dict[int, _Asked] = {}
        self._workers: dict[int, ForkedProcess] = {}
        self._is_retired = False
        self._overdue: asyncio.TimerHandle | None = None
        self._process.exited.add_done_callback(self._on_exit)

    @property
    def is_lost(self) -> bool:
        """Whether it can be asked for nothing more."""
        return not self._control.is_open

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
        self._control.send(order)
        return await self._loaded

    async def fork(self, worker: str, fds: list[int], lifeline: int) -> ForkedProcess:
        """Have it make a worker that owns copies of `fds`; our end of its lifeline is taken over.

        Raises `TemplateLost`, `ForkRefused`, or `OSError` if the kernel would
        not fork. Cancelled, the worker is killed when it comes.
        """
        number = next(self._numbers)
        asked = self._asked[number] = _Asked(self._loop.create_future(), lifeline)
        try:
            self._order(Fork(number, worker, len(fds)), fds)
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

    def _order(self, order: Fork, fds: list[int]) -> None:
        if self.is_lost:
            raise TemplateLost(self.name)
        try:
            self._control.send_with_fds(order, fds)
        except OSError:
            self.kill()
            raise TemplateLost(self.name) from None

    # Hearing

    def _hear(self, message: FromTemplate) -> None:
        match message:
            case Loaded(hazards, explanation, took):
                self._settle_loading(Loaded(self._shown(hazards), explanation, took))
            case Unfit(problems):
                self._settle_loading(Unfit(self._shown(problems)))
            case Forked(number, pid):
                self._on_forked(number, pid, self._control.take_fd())
            case Refused(number, hazards, error):
                refusal = ForkRefused(*self._shown(hazards)) if hazards else None
                self._on_refused(number, refusal or OSError(excerpt(self._secrets, error)))
            case Exited(pid, returncode):
                if pid in self._workers:
                    self._workers[pid].tell(returncode)

    def _shown(self, phrases: list[str]) -> list[str]:
        return [excerpt(self._secrets, phrase, MAX_ERROR_TEXT) for phrase in phrases[:MAX_PHRASES]]

    def _settle_loading(self, answer: Loaded | Unfit) -> None:
        if not self._loaded.done():
            self._loaded.set_result(answer)

    def _on_nonsense(self, what: str) -> None:
        _log.warning("%s: killed: %s", self.name, excerpt(self._secrets, what))
        self.kill()

    def _on_forked(self, number: int, pid: int, pidfd: int | None) -> None:
        asked = self._asked.get(number)
        if pidfd is None:
            # The kernel drops what would exceed the limit; its lifeline ends the worker.
            self._on_refused(number, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        elif asked is None or asked.process is not None:
            # Whoever asked was cancelled, and its end of the lifeline is closed.
            close_end(pidfd)
        elif not is_worker(pid, pidfd, self._process.pid):
            close_end(pidfd)
            self._on_nonsense(f"it took process {pid} for a worker that it had made")
        else:
            # Here and not where it is awaited: that it has ended may be the next message.
            process = asked.process = ForkedProcess(pid, pidfd, asked.lifeline)
            self._workers[pid] = process
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
        self._control.close()
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

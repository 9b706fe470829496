"""A worker's process that was forked by a template: watched by us, reaped by it."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from pool.launch.descriptors import close_end
from pool.launch.memory import private_memory_of
from pool.launch.oom import kills
from pool.launch.process import kill_group_of, parent_of, pid_of, returncode_of

TOLD_WITHIN = 1.0
"""Seconds after a worker's end that its template has to tell the exit status."""


MAX_GENERATIONS = 16
"""Between a process and its template; an interpreter started by a script adds one."""


def is_worker(pid: int, pidfd: int, template: int) -> bool:
    """Whether a process that a template claims to have made may be taken for one, and be killed.

    The two must belong together and stand for a descendant of the template;
    or for nobody any more, if the worker has ended already.
    """
    descends = _descends_from(pid, template)
    # In this order: while the pidfd stands for it, the number was nobody else's meanwhile.
    return pid_of(pidfd) == -1 or (descends and pid_of(pidfd) == pid)


def _descends_from(pid: int, ancestor: int) -> bool:
    for _ in range(MAX_GENERATIONS):
        pid = parent_of(pid)
        if pid in (0, ancestor):
            break
    return pid == ancestor


class ForkedProcess:
    """Somebody else's child that leads its own process group.

    The exit status is what the template tells. Once the template is gone the
    worker is init's child, and nobody tells; or ours, where this process is
    init or a subreaper, and then it is reaped here.
    """

    def __init__(self, pid: int, pidfd: int, lifeline: int) -> None:
        kills().launching()
        self.pid = pid
        self.has_lost_template = False
        self._pidfd = pidfd
        self._lifeline = lifeline
        self._has_ended = False
        self._told: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(pidfd, self._end)

    def ran_out_of_memory(self) -> bool:
        return kills().claim()

    async def private_memory(self) -> int | None:
        return await private_memory_of(self.pid, self.exited)

    @property
    def is_reaped(self) -> bool:
        """Whether its status has been taken, so that its number may be another's."""
        if self.exited.done():
            return True
        try:
            signal.pidfd_send_signal(self._pidfd, 0)  # finds a zombie too
        except ProcessLookupError:
            return True
        return False

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        # Once it has ended the template, which reaps it, kills what is left.
        if not self._has_ended:
            kill_group_of(self._pidfd, self.pid)
            self._signal(signal.SIGKILL)

    def tell(self, returncode: int) -> None:
        """The template has reaped it."""
        self._settle(returncode)

    def lose_template(self) -> None:
        """The template is gone for good; this one lives on, or has just ended too."""
        self.has_lost_template = True
        if self._has_ended:
            self._settle(returncode_of(self._pidfd))

    def _signal(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._has_ended = True
        if self.has_lost_template:
            kill_group_of(self._pidfd, self.pid)
            self._settle(returncode_of(self._pidfd))
        else:
            self._told = self._loop.call_later(TOLD_WITHIN, self._settle, None)

    def _settle(self, returncode: int | None) -> None:
        if self.exited.done():
            return
        if self._told is not None:
            self._told.cancel()
        self._has_ended = True
        self._loop.remove_reader(self._pidfd)
        close_end(self._pidfd)
        close_end(self._lifeline)
        self.exited.set_result(returncode)

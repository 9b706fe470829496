"""A child process watched through its pidfd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from subprocess import Popen

from pool.launch.descriptors import adopt_descriptor, close_end
from pool.launch.memory import private_memory_of
from pool.launch.oom import kills

TO_GROUP = 1 << 2
"""PIDFD_SIGNAL_PROCESS_GROUP, of Linux 6.9 and later (pidfd_send_signal(2))."""


class ChildProcess:
    """A direct child that leads its own process group.

    Its group is killed when it ends: a grandchild that outlives it would hold
    its pipes open and be nobody's.
    """

    has_lost_template = False

    def __init__(self, popen: Popen[bytes]) -> None:
        kills().launching()
        self.pid = popen.pid
        self._popen = popen
        self._pidfd = adopt_descriptor(os.pidfd_open(popen.pid))
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    def ran_out_of_memory(self) -> bool:
        return kills().claim()

    async def private_memory(self) -> int | None:
        return await private_memory_of(self.pid, self.exited)

    def terminate(self) -> None:
        if not self.exited.done():
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def kill(self) -> None:
        # Until it is reaped here the group's number cannot belong to anybody else.
        if not self.exited.done():
            kill_group(self.pid)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        kill_group(self.pid)
        returncode = returncode_of(self._pidfd)
        close_end(self._pidfd)
        # So that Popen neither waits for the number nor warns about it.
        self._popen.returncode = -1 if returncode is None else returncode
        self.exited.set_result(returncode)


def kill_group(leader: int) -> None:
    """Send SIGKILL to all of a process group that is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_group_of(pidfd: int, leader: int) -> None:
    """`kill_group` for a process that others reap: never a group that has its number by now."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, TO_GROUP)
    except (ProcessLookupError, PermissionError):
        return
    except OSError:  # the kernel is older
        if pid_of(pidfd) == leader:
            kill_group(leader)


def pid_of(pidfd: int) -> int | None:
    """The number of the process that a pidfd stands for: -1 once it has been reaped.

    None where the descriptor is no pidfd (proc_pid_fdinfo(5)).
    """
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return None


def parent_of(pid: int) -> int:
    """The number of a process's parent, 0 where there is none (proc_pid_stat(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def returncode_of(pidfd: int) -> int | None:
    """Reap a process that has ended; None if it is not ours to reap."""
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None  # the application reaps all children, or ignores SIGCHLD
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

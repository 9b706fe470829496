"""What is running: found in /proc by a mark in the environment that all our children inherit."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = f"BRIDGEPOOL_TEST_RUN={os.getpid()}"


def mark_environment() -> None:
    name, _, value = MARK.partition("=")
    os.environ[name] = value


def marked(mark: str = MARK) -> set[int]:
    """The pids of all processes with a mark but this one; zombies have no environment."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (pid := int(entry.name)) != os.getpid():
            with suppress(OSError):
                if mark.encode() in environment(pid).split(b"\0"):
                    found.add(pid)
    return found


def environment(pid: int) -> bytes:
    """A process's environment; one that is amid exec has none for a moment.

    Popen returns in that moment: the descriptor that it waits for is closed before.
    """
    # Opened first: what may not be read looks as if it were amid exec.
    with Path(f"/proc/{pid}/environ").open("rb") as file:
        while is_amid_exec(pid):
            time.sleep(0.0001)  # /proc tells no event
        return file.read()


def is_amid_exec(pid: int) -> bool:
    """Whether a process has memory, unlike zombies and the kernel's, but no environment's end."""
    fields = stat_of(pid)
    vsize, env_end = fields[20], fields[48]  # the 23rd and the 51st
    return vsize != "0" and env_end == "0"


def stat_of(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on: the second, a name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children() -> set[int]:
    """The direct children of this process, zombies included."""
    pids: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            pids.update(map(int, (task / "children").read_text().split()))
    return pids


def offspring(pid: int) -> set[int]:
    """The direct children of a process with one thread, zombies included."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def stop(*pids: int) -> None:
    """SIGSTOP, and wait until they have stopped; a signal takes its time to be delivered."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5.0
    while not all(state(pid) in "TZ" for pid in pids):
        assert time.monotonic() < deadline, f"not all have stopped: {pids}"
        time.sleep(0.001)  # /proc tells no event


def go_on(*pids: int) -> None:
    """SIGCONT to those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    """The letter for a process's state, such as T for a stopped one; Z if it is gone too."""
    try:
        return stat_of(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def descriptors() -> dict[int, str]:
    """The open descriptors of this process and what they are."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found[int(entry.name)] = str(entry.readlink())
    return {fd: name for fd, name in found.items() if not name.startswith("/proc/")}


def ends_within(pids: set[int], seconds: float) -> set[int]:
    """Wait for processes to end, their pidfds tell; return those that did not in time."""
    pidfds = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            pidfds[os.pidfd_open(pid)] = pid
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + seconds
    left = dict(pidfds)
    while left and (rest := deadline - time.monotonic()) > 0:
        for pidfd, _ in poll.poll(rest * 1000):
            poll.unregister(pidfd)
            left.pop(pidfd)
    for pidfd in pidfds:
        os.close(pidfd)
    return set(left.values())


def kill_all(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

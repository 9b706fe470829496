"""A pipe that kills its holder when the pool is gone, whatever the holder is doing.

A child inherits the reading end; the only writing end is in the pool. When
the pool's process ends, by SIGKILL too, the kernel closes the writing end and
sends SIGKILL to the owner of the reading end: also to one that is stopped,
holds the GIL or never reads anything (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC).
Nothing is ever written to it.

Run as a script, `lifeline.py FD COMMAND ARG...` takes hold of the line before
it becomes the command, so that a foreign executable has no unguarded moment.
It imports the standard library only, and nothing of this package.
"""

import fcntl
import os
import select
import signal
import sys


def hold(fd: int) -> None:
    """Have this process group killed when the writing end of `fd` is closed.

    Ends the process at once if that has happened already, which no signal
    will tell any more.
    """
    _hold_for(-os.getpgrp(), fd)


def hold_in_new_session(fd: int) -> None:
    """Leave the process group for a session of its own, and `hold` there.

    The lifeline that the group may have does not reach this process any more
    once it has left, and it may be stopped at any moment: so it holds `fd` for
    itself alone before, and for its new group afterwards.
    """
    _hold_for(os.getpid(), fd)
    os.setsid()
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())


def _hold_for(owner: int, fd: int) -> None:
    """`owner` is a process, or minus a group."""
    fcntl.fcntl(fd, fcntl.F_SETOWN, owner)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    poll = select.poll()
    poll.register(fd, 0)
    if poll.poll(0):
        os._exit(1)


def main() -> None:
    """Take hold, then become the command."""
    fd, command = int(sys.argv[1]), sys.argv[2:]
    hold(fd)
    # Python ignores these two; an ignored signal would stay ignored in the command.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()

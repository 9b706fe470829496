"""What becomes of a call, and of its worker, for each place and each way to fail.

Every way exists in every place; how it is started makes no difference.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from pool import (
    BrokenWorkerError,
    CallTimeout,
    PoolError,
    ProtocolError,
    RemoteError,
    WorkerStartError,
)

KILLED = -signal.SIGKILL
"""By the pool, because it lived on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one cell of the matrix ends.

    `error` is the call's, None where no call is hurt; `exits` is the metric's
    reason for the worker's end, None where it stays healthy.
    """

    error: type[PoolError] | None
    exits: str | None
    returncode: int | None = None
    request_sent: bool | None = None
    error_type: str | None = None


def fails_to_start(exits: str, returncode: int) -> Outcome:
    return Outcome(WorkerStartError, exits, returncode)


def raises(error_type: str) -> Outcome:
    """The command raised; the worker is healthy."""
    return Outcome(RemoteError, None, error_type=error_type)


def dies(exits: str, returncode: int, *, sent: bool) -> Outcome:
    return Outcome(BrokenWorkerError, exits, returncode, sent)


def unhurt(exits: str | None) -> Outcome:
    """No call sees an error."""
    return Outcome(None, exits)


NONSENSE = Outcome(ProtocolError, "protocol", KILLED)
SILENCE = Outcome(CallTimeout, "timeout", request_sent=True)

MATRIX: dict[str, dict[str, Outcome]] = {
    # In `on_start`; whoever waits for the worker learns why there is none.
    "starting": {
        "exit-0": fails_to_start("crash", 0),
        "exit-3": fails_to_start("crash", 3),
        "exception": fails_to_start("crash", 1),
        "sigkill": fails_to_start("signal", -signal.SIGKILL),
        "sigsegv": fails_to_start("signal", -signal.SIGSEGV),
        "abort": fails_to_start("signal", -signal.SIGABRT),
        "sigstop": fails_to_start("start", KILLED),
        "out-of-memory": fails_to_start("crash", 1),
        "closed-stdout": fails_to_start("protocol", KILLED),
        "garbage": fails_to_start("protocol", KILLED),
    },
    # Between two calls, in a thread of the bridge's own.
    "idle": {
        "exit-0": unhurt("crash"),
        "exit-3": unhurt("crash"),
        "exception": unhurt(None),  # it ends the thread alone
        "sigkill": unhurt("signal"),
        "sigsegv": unhurt("signal"),
        "abort": unhurt("signal"),
        "sigstop": unhurt("ping"),  # or the next call finds it, which has a test of its own
        "out-of-memory": unhurt(None),  # as the exception that it is
        "closed-stdout": unhurt("protocol"),
        "garbage": unhurt("protocol"),
    },
    # With a part of the request read, the rest of it more than the pipe holds.
    "reading": {
        "exit-0": dies("crash", 0, sent=False),
        "exit-3": dies("crash", 3, sent=False),
        "exception": dies("crash", 1, sent=False),  # of a signal handler, say: no command runs
        "sigkill": dies("signal", -signal.SIGKILL, sent=False),
        "sigsegv": dies("signal", -signal.SIGSEGV, sent=False),
        "abort": dies("signal", -signal.SIGABRT, sent=False),
        "sigstop": SILENCE,
        "out-of-memory": dies("crash", 1, sent=False),
        "closed-stdout": dies("protocol", KILLED, sent=False),
        "garbage": NONSENSE,
    },
    # In a command.
    "running": {
        "exit-0": dies("crash", 0, sent=True),
        "exit-3": dies("crash", 3, sent=True),
        "exception": raises("RuntimeError"),
        "sigkill": dies("signal", -signal.SIGKILL, sent=True),
        "sigsegv": dies("signal", -signal.SIGSEGV, sent=True),
        "abort": dies("signal", -signal.SIGABRT, sent=True),
        "sigstop": SILENCE,
        "out-of-memory": raises("MemoryError"),
        "closed-stdout": dies("protocol", KILLED, sent=True),
        "garbage": NONSENSE,
    },
    # With half of the reply written: whatever follows, it can only be the rest.
    "writing": {
        "exit-0": dies("crash", 0, sent=True),
        "exit-3": dies("crash", 3, sent=True),
        "exception": dies("crash", 1, sent=True),
        "sigkill": dies("signal", -signal.SIGKILL, sent=True),
        "sigsegv": dies("signal", -signal.SIGSEGV, sent=True),
        "abort": dies("signal", -signal.SIGABRT, sent=True),
        "sigstop": SILENCE,
        "out-of-memory": dies("crash", 1, sent=True),
        "closed-stdout": dies("protocol", KILLED, sent=True),
        "garbage": NONSENSE,
    },
    # When asked to shut down; closing the pool ends it one way or another.
    "closing": {
        "exit-0": unhurt("drain"),
        "exit-3": unhurt("drain"),
        "exception": unhurt("drain"),
        "sigkill": unhurt("drain"),
        "sigsegv": unhurt("drain"),
        "abort": unhurt("drain"),
        "sigstop": unhurt("drain"),
        "out-of-memory": unhurt("drain"),
        "closed-stdout": unhurt("drain"),
        "garbage": unhurt("drain"),
    },
}

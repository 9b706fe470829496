"""Every error a pool raises. Each call ends with exactly one result or one of these."""

from __future__ import annotations

import signal as signals
from typing import Any


class PoolError(Exception):
    """Base of all errors of the pool. They can be pickled and copied, attributes included."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, dict(self.__dict__))


def _revive(kind: type[PoolError], args: tuple[Any, ...], state: dict[str, Any]) -> PoolError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class PoolClosed(PoolError):
    """The pool is not open, draining or closed. The request was never sent."""


class PoolSaturated(PoolError):
    """Refused at the door: the queue is full. The request was never sent.

    `retry_after` is an estimate, in seconds, of when to try again.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PoolTimeout(PoolError, TimeoutError):
    """No worker was free before the deadline. The request was never sent."""


class EnvironmentInvalid(PoolError):
    """The environment cannot run the bridge. The request was never sent.

    `problems` lists everything that is wrong, one sentence each.
    """

    def __init__(self, message: str, problems: tuple[str, ...]) -> None:
        super().__init__(message)
        self.problems = problems


class CircuitOpen(PoolError):
    """Calls of `command` are refused for a while, because they kept failing. Never sent.

    `retry_after` is in seconds: until the next probe of an open circuit, an
    estimate while the probes of a half-open one run.
    """

    def __init__(self, message: str, *, command: str, retry_after: float) -> None:
        super().__init__(message)
        self.command = command
        self.retry_after = retry_after


class RequestError(PoolError, ValueError):
    """The arguments cannot be encoded, or are too large. The request was never sent."""


class LeaseClosed(PoolError):
    """The lease is over: its block has ended, or a call on it timed out or was cancelled."""


class CallTimeout(PoolError, TimeoutError):
    """The deadline passed while the call was running, or before its turn on a lease came.

    If `request_sent` is False the request was never sent.
    """

    def __init__(self, message: str, *, request_sent: bool = True) -> None:
        super().__init__(message)
        self.request_sent = request_sent


class WorkerError(PoolError):
    """A worker failed.

    `worker` is its name; `pid`, `returncode` (None while unknown) and `signal`
    (its number, if a signal ended the process) are the process's;
    `stderr_tail` is the last it wrote there.
    """

    def __init__(
        self,
        message: str,
        *,
        worker: str,
        pid: int | None = None,
        returncode: int | None = None,
        stderr_tail: str = "",
    ) -> None:
        super().__init__(message)
        self.worker = worker
        self.pid = pid
        self.returncode = returncode
        self.signal = -returncode if returncode is not None and returncode < 0 else None
        self.stderr_tail = stderr_tail


class WorkerStartError(WorkerError):
    """A worker could not be started; also why a pool in a crash loop refuses work."""


class BrokenWorkerError(WorkerError):
    """A worker died with a call on it.

    If `request_sent` is False the request never reached it whole and may be
    made again without harm.
    """

    def __init__(self, message: str, *, request_sent: bool, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.request_sent = request_sent


class ProtocolError(WorkerError):
    """A worker sent bytes that make no sense, and was killed."""


class ResultTypeError(PoolError):
    """The reply does not fit `result_type`; `result` has it as plain JSON values."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


class RemoteError(PoolError):
    """The command raised in the worker, which is healthy.

    `error_type` is the exception's name there, `message` its text,
    `traceback` the bridge's part of the stack, `details` what it carried.
    `message` and `traceback` are cut above 32 Ki characters each, `details`
    are None above 256 KiB of JSON; all are without secrets.
    """

    def __init__(
        self,
        message: str,
        *,
        error_type: str | None = None,
        traceback: str | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(f"{error_type}: {message}" if error_type else message)
        self.message = message
        self.error_type = error_type
        self.traceback = traceback
        self.details = details


def describe_exit(returncode: int | None) -> str:
    """Say how a process ended, for people: its exit status or the signal's name."""
    if returncode is None:
        return "ended, its exit status unknown"
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        name = signals.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"was ended by {name}"

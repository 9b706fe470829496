"""Errors as values: what they carry, and that they survive pickling."""

from __future__ import annotations

import copy
import pickle
import signal

import pytest

from pool import errors

FACTS = {"worker": "w-1", "pid": 7, "returncode": -9, "stderr_tail": "the end"}
EXAMPLES: list[errors.PoolError] = [
    errors.PoolClosed("closed"),
    errors.PoolSaturated("full", 1.5),
    errors.PoolTimeout("late"),
    errors.EnvironmentInvalid("unfit", ("a", "b")),
    errors.CircuitOpen("open", command="c", retry_after=2.5),
    errors.RequestError("bad"),
    errors.LeaseClosed("over"),
    errors.CallTimeout("late", request_sent=False),
    errors.WorkerStartError("no", **FACTS),  # type: ignore[arg-type]
    errors.BrokenWorkerError("gone", request_sent=True, **FACTS),
    errors.ProtocolError("nonsense", **FACTS),  # type: ignore[arg-type]
    errors.ResultTypeError("other", {"a": 1}),
    errors.RemoteError("no", error_type="E", traceback="t", details=[1]),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: errors.PoolError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_the_standard_librarys_names_catch_them() -> None:
    assert issubclass(errors.PoolTimeout, TimeoutError)
    assert issubclass(errors.CallTimeout, TimeoutError)
    assert issubclass(errors.RequestError, ValueError)


def test_a_signal_is_told_from_an_exit_status() -> None:
    killed = errors.WorkerStartError("no", **FACTS)  # type: ignore[arg-type]
    exited = errors.WorkerStartError("no", worker="w", returncode=3)
    assert (killed.signal, exited.signal) == (signal.SIGKILL, None)


@pytest.mark.parametrize(
    ("returncode", "words"),
    [(0, "status 0"), (3, "status 3"), (-9, "SIGKILL"), (-99, "signal 99"), (None, "unknown")],
)
def test_how_a_process_ended_in_words(returncode: int | None, words: str) -> None:
    assert words in errors.describe_exit(returncode)

"""A lost worker, told in errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pool.errors import BrokenWorkerError, ProtocolError, WorkerStartError
from pool.worker.postmortem import FAULTS, OF_ITSELF, QUOTED_STDERR, Remains

REMAINS = Remains("w-1", 7, 1.256, -9, " the end\n", "oom", "the kernel ended it")
OLD = "worker w-1 (pid 7, 1.26 s old) was ended by SIGKILL"
QUOTED = "the kernel ended it; last on stderr:\nthe end"


def facts(error: Any) -> tuple[object, ...]:
    return error.worker, error.pid, error.returncode, error.stderr_tail


def test_a_start_that_failed() -> None:
    error = REMAINS.start_error()
    assert type(error) is WorkerStartError
    assert str(error) == f"{OLD} before it was ready: {QUOTED}"
    assert facts(error) == ("w-1", 7, -9, " the end\n")


@pytest.mark.parametrize("sent", [True, False])
def test_a_loss_names_the_calls_that_were_on_it(sent: bool) -> None:
    error = REMAINS.loss(["a", "b"], request_sent=sent)
    assert isinstance(error, BrokenWorkerError)
    assert str(error) == f"{OLD} with 'a', 'b' on it: {QUOTED}"
    assert (error.request_sent, *facts(error)) == (sent, "w-1", 7, -9, " the end\n")


def test_a_loss_without_calls() -> None:
    quiet = replace(REMAINS, stderr_tail=" \n")
    error = quiet.loss([], request_sent=False)
    assert str(error) == f"{OLD} while idle: the kernel ended it"


def test_nonsense_is_a_protocol_error() -> None:
    error = replace(REMAINS, garbled=True).loss(["a"], request_sent=True)
    assert type(error) is ProtocolError
    assert str(error) == f"{OLD} with 'a' on it: {QUOTED}"
    assert facts(error) == ("w-1", 7, -9, " the end\n")


def test_a_call_that_found_it_gone_was_not_sent() -> None:
    error = REMAINS.not_sent("a")
    assert str(error) == "w-1 is gone, 'a' was not sent to it: the worker the kernel ended it"
    assert (error.request_sent, *facts(error)) == (False, "w-1", 7, -9, " the end\n")


def test_only_the_end_of_stderr_is_quoted() -> None:
    tail = "x" * QUOTED_STDERR + "\n" + "y" * (QUOTED_STDERR - 1)
    error = replace(REMAINS, stderr_tail=tail).start_error()
    assert str(error).endswith(":\n\n" + "y" * (QUOTED_STDERR - 1))
    assert error.stderr_tail == tail
    assert QUOTED_STDERR == 2_000


def test_whose_fault_it_was() -> None:
    assert sorted(OF_ITSELF) == ["crash", "oom", "protocol", "signal", "template_lost"]
    assert sorted(FAULTS - OF_ITSELF) == ["ping", "start", "timeout"]
    assert OF_ITSELF < FAULTS


def test_a_traceback_is_told_once() -> None:
    traceback = "Traceback ...\nValueError: no model"
    failed = replace(REMAINS, traceback=traceback)
    assert str(failed.start_error()).endswith(
        "ended it\nTraceback ...\nValueError: no model; last on stderr:\nthe end"
    )
    written = replace(failed, stderr_tail=f"start-up failed\n{traceback}\n").start_error()
    assert str(written).count("ValueError: no model") == 1
    assert str(written).endswith(f"; last on stderr:\nstart-up failed\n{traceback}")

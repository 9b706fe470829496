"""Settings of the breaker, and what the end of a call says about its command."""

from __future__ import annotations

import asyncio
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from pool import Breaker, errors
from pool.circuit.breaker import CallVerdict

FACTS: dict[str, Any] = {"worker": "w-1", "pid": 7, "returncode": -9}
SUCCESS, FAILURE, NONE = CallVerdict.SUCCESS, CallVerdict.FAILURE, CallVerdict.NONE
TIMED_OUT = errors.CallTimeout("late")
REFUSED = errors.RemoteError("no such key", error_type="KeyError")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"failures": 0}, "failures=0 must be a whole number of at least 1"),
        ({"failures": True}, "failures=True"),
        ({"failures": 2.0}, "failures=2.0"),
        ({"successes": -1}, "successes=-1 must be a whole number of at least 1"),
        ({"successes": None}, "successes=None"),
        ({"open_for": 0}, "open_for=0 must be a number of seconds above 0"),
        ({"open_for": float("inf")}, "open_for=inf"),
        ({"open_for": float("nan")}, "open_for=nan"),
        ({"open_for": True}, "open_for=True"),
        ({"open_for": None}, "open_for=None"),
        ({"open_for": "30"}, "open_for='30'"),
        ({"counts": ()}, "never open a circuit; leave the breaker out"),
        ({"counts": None}, "counts=None must be a tuple of exception classes or a function"),
        ({"counts": [ValueError]}, "must be a tuple"),
        ({"counts": errors.CallTimeout}, "must be a tuple"),
        ({"counts": (ValueError, "KeyError")}, "'KeyError', which is no subclass of Exception"),
        ({"counts": (asyncio.CancelledError,)}, "CancelledError"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^Breaker: ") as caught:
        Breaker(**settings)
    assert said in str(caught.value)


def test_the_least_that_can_be() -> None:
    least = Breaker(failures=1, successes=1, open_for=0.1)
    assert (least.failures, least.successes, least.open_for) == (1, 1, 0.1)


def test_settings_are_named_and_stay_as_they_are() -> None:
    with pytest.raises(TypeError):
        Breaker(5)  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        Breaker().failures = 1  # type: ignore[misc]
    assert (Breaker().failures, Breaker().successes, Breaker().open_for) == (5, 3, 30.0)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, SUCCESS),
        (errors.BrokenWorkerError("gone", request_sent=True, **FACTS), FAILURE),
        (errors.ProtocolError("nonsense", **FACTS), FAILURE),
        (TIMED_OUT, FAILURE),
        (REFUSED, FAILURE),
        # It answered.
        (errors.ResultTypeError("other", {}), SUCCESS),
        # It was not asked.
        (errors.BrokenWorkerError("gone", request_sent=False, **FACTS), NONE),
        (errors.CallTimeout("not its turn", request_sent=False), NONE),
        (errors.RequestError("bad"), NONE),
        (errors.PoolSaturated("full", 1.0), NONE),
        (errors.PoolTimeout("late"), NONE),
        (errors.PoolClosed("closed"), NONE),
        (errors.EnvironmentInvalid("unfit", ()), NONE),
        (errors.WorkerStartError("crash loop", **FACTS), NONE),
        # It was not waited for.
        (errors.LeaseClosed("over"), NONE),
        (asyncio.CancelledError(), NONE),
        (KeyboardInterrupt(), NONE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_an_end_says_by_default(error: BaseException | None, verdict: CallVerdict) -> None:
    assert Breaker().judge(error) is verdict


def test_classes_that_count_are_chosen() -> None:
    breaker = Breaker(counts=(errors.PoolTimeout, errors.CallTimeout))
    assert breaker.judge(TIMED_OUT) is FAILURE
    assert breaker.judge(errors.PoolTimeout("late")) is FAILURE
    assert breaker.judge(REFUSED) is SUCCESS  # it answered
    assert breaker.judge(errors.ProtocolError("nonsense", **FACTS)) is NONE


def test_a_function_can_tell_remote_errors_apart() -> None:
    def counts(error: BaseException) -> bool:
        return isinstance(error, errors.RemoteError) and error.error_type != "KeyError"

    breaker = Breaker(counts=counts)
    assert breaker.judge(errors.RemoteError("no", error_type="OSError")) is FAILURE
    assert breaker.judge(REFUSED) is SUCCESS
    assert breaker.judge(TIMED_OUT) is NONE


def test_a_function_is_not_asked_about_a_cancellation_nor_what_was_not_sent() -> None:
    breaker = Breaker(counts=lambda error: True)
    assert breaker.judge(asyncio.CancelledError()) is NONE
    assert breaker.judge(errors.CallTimeout("not its turn", request_sent=False)) is NONE
    assert breaker.judge(errors.PoolTimeout("late")) is FAILURE

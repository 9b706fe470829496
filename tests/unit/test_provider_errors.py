"""When to try a provider again: read from its answer, wherever a client keeps that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.dspy_bridge.errors import error_details, seconds_from

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Refused(Exception):
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Tue, 01 Jan 2030 00:01:00 GMT", 60.0),
        ("Mon, 31 Dec 2029 23:59:00 GMT", 0.0),
        ("Tue, 01 Jan 2030 00:01:00 -0000", 60.0),
        ("-7", None),
        ("inf", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_from(header, NOW) == seconds


@pytest.mark.parametrize(
    "attributes",
    [
        {"litellm_response_headers": after(7)},
        {"headers": {"retry-after": "7"}},
        {"response": Refused(headers=after(7))},
        {"headers": None, "response": Refused(headers=after(7))},
    ],
)
def test_it_is_found_behind_the_error(attributes: dict[str, Any]) -> None:
    error = Refused(code="rate_limit")
    error.__cause__ = Refused(headers={})
    error.__cause__.__context__ = Refused(**attributes)
    assert error_details(error) == {"code": "rate_limit", "retry_after": 7.0}


def test_what_dspy_knows_counts_first() -> None:
    assert error_details(Refused(retry_after=1.0, headers=after(7))) == {"retry_after": 1.0}


def test_an_earlier_answer_does_not_count() -> None:
    error = Refused(headers={"Date": "today"})
    error.__context__ = Refused(headers=after(7))
    assert error_details(error) == {}


def test_a_chain_without_an_end_has_one() -> None:
    error, other = Refused(), Refused()
    error.__cause__, other.__context__ = other, error
    assert error_details(error) == {}

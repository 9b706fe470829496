"""What is known about a failed request to a provider, as an error's details."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_KNOWN_TO_DSPY = ("code", "status", "retry_after", "provider", "provider_code", "request_id")


def error_details(error: BaseException) -> dict[str, Any]:
    """What dspy knows, and `retry_after`, in seconds, if the provider's answer said so.

    dspy has it from its own clients. litellm keeps the headers of the answer,
    under a name where dspy does not look, so they are looked up here.
    """
    values = {name: getattr(error, name, None) for name in _KNOWN_TO_DSPY}
    if values["retry_after"] is None:
        headers = _answer_headers(error)
        values["retry_after"] = seconds_from(headers.get("retry-after"), datetime.now(UTC))
    return {name: value for name, value in values.items() if value is not None}


def seconds_from(header: str | None, now: datetime) -> float | None:
    """A Retry-After, which is seconds or a date (RFC 9110, section 10.2.3); None if neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header, now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def _answer_headers(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer that the error is about, with names in lower case.

    They are on one of the exceptions behind it. Only the nearest that has any
    counts: what is behind that may be of an earlier try.
    """
    for link in _chain(error):
        for headers in _headers_on(link):
            if headers:
                return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _headers_on(error: BaseException) -> Iterator[Mapping[str, str]]:
    response = getattr(error, "response", None)
    holders = ((error, "litellm_response_headers"), (error, "headers"), (response, "headers"))
    for holder, name in holders:
        headers = getattr(holder, name, None)
        if isinstance(headers, Mapping):
            yield headers


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # `raise error from error` has no end
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__

"""What other workers have defined and forgotten, taken over before a call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bridge.registry import Bridge
from bridge.report import report
from bridge.requests import Frame


def catch_up(bridge: Bridge, frame: Frame, session: str) -> None:
    """Have the bridge drop and adopt what a request tells."""
    for ended in frame.forget_sessions:
        _attempt(f"forget session {ended!r}", bridge.drop, ended, None)
    for key in frame.forget:
        _attempt(f"forget {key!r}", bridge.drop, session, key)
    for item in frame.define:
        given = (session, item.key, item.version, item.definition)
        _attempt(f"take over {item.key!r}", bridge.adopt, *given)


def _attempt(what: str, function: Callable[..., None], *given: Any) -> None:
    try:
        function(*given)
    except Exception as error:
        # The call may have nothing to do with it; one that has says what it lacks.
        print(f"bridge: cannot {what}\n{report(None, error).traceback}", file=sys.stderr)

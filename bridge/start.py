"""What happens once, before the first command of a worker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from bridge.messages import Failure
from bridge.registry import Bridge
from bridge.report import report
from bridge.secrets import learn_options


class StartFailed(Exception):
    """A start-up function raised; `reply` says what. The process is of no use."""

    def __init__(self, reply: Failure) -> None:
        super().__init__(reply.error)
        self.reply = reply


class Start:
    """Runs a bridge's start-up functions, asynchronous ones by `run_coroutine`."""

    def __init__(
        self, bridge: Bridge, run_coroutine: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.is_done = False
        self.seconds = 0.0
        """What it took."""
        self._bridge = bridge
        self._run_coroutine = run_coroutine

    def run(self, call_id: int, options: bytes) -> None:
        """Do it, unless it is done; raise `StartFailed`, with the reply for a call."""
        if self.is_done:
            return
        began = monotonic()
        learn_options(options)
        for function in self._bridge.start_functions:
            try:
                made = function(options)
                if hasattr(made, "__await__"):
                    self._run_coroutine(made)
            except Exception as error:
                raise StartFailed(report(call_id, error)) from error
        self.seconds = monotonic() - began
        self.is_done = True

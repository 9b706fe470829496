"""Many calls in one request, as a scripted child runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pool.testing.script import Request
from pool.testing.work import Work, error_type

if TYPE_CHECKING:
    from pool.testing.child import Child


class Batched(Work):
    """Takes `pause` seconds for each call, and tells of each `portion` of them as it is done."""

    def __init__(
        self,
        child: Child,
        request: Request,
        command: Callable[[dict[str, Any]], object],
        pause: float,
        portion: int | None,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(child, request, on_end)
        self._calls = request.batch or []
        self._command = command
        self._pause = pause
        self._portion = portion
        self._done = 0
        self._results: list[object] = []
        self._failures: dict[str, dict[str, str]] = {}

    def go_on(self) -> None:
        while self._done < len(self._calls):
            if self._pause:
                self.later(self._pause, self._run_and_go_on)
                return
            self._run()
        self._reply()

    def fail(self, error: BaseException) -> None:
        """The calls that are left fail."""
        while self._done < len(self._calls):
            self._note(None, error)
        self._tell({"success": True})

    def _run_and_go_on(self) -> None:
        self._run()
        self.go_on()

    def _run(self) -> None:
        try:
            self._note(self._command(self._calls[self._done]))
        except (Exception, asyncio.CancelledError) as error:
            self._note(None, error)
        if len(self._results) == self._portion and self._done < len(self._calls):
            self._tell({"event": "results"})

    def _note(self, result: object, error: BaseException | None = None) -> None:
        if error is not None:
            told = {"error": str(error), "error_type": error_type(error)}
            self._failures[str(self._done)] = told
        self._results.append(result)
        self._done += 1

    def _tell(self, members: dict[str, object]) -> None:
        """Tell what has not been told yet."""
        told = {"results": self._results, "failures": self._failures}
        self._results, self._failures = [], {}
        self.child.send({"id": self.request.id, **members, **told})

    def _reply(self) -> None:
        self._tell({"success": True})
        self.end()

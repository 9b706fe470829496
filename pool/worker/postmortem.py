"""What became of a worker, told in errors. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pool.errors import (
    BrokenWorkerError,
    ProtocolError,
    WorkerError,
    WorkerStartError,
    describe_exit,
)

QUOTED_STDERR = 2_000
"""Characters of stderr quoted in a message; the error's `stderr_tail` has all that is kept."""

FAULTS = frozenset(
    {"start", "crash", "signal", "oom", "template_lost", "protocol", "ping", "timeout"}
)
"""Reasons for leaving that are the worker's own fault."""

OF_ITSELF = frozenset({"crash", "signal", "oom", "template_lost", "protocol"})
"""Those of them in which it ended of itself, rather than being given up."""


@dataclass(frozen=True, slots=True)
class Remains:
    """All that is known of a worker; `what` completes the sentence "the worker ...".

    `garbled` says that it sent what makes no sense, `traceback` what its start-up failed of.
    """

    worker: str
    pid: int | None
    age: float
    returncode: int | None
    stderr_tail: str
    reason: str
    what: str
    garbled: bool = False
    traceback: str = ""

    def start_error(self) -> WorkerStartError:
        """Why there never was a worker."""
        return WorkerStartError(self._story("before it was ready"), **self._facts())

    def loss(self, commands: list[str], *, request_sent: bool) -> WorkerError:
        """The error for calls that were on it, or for itself if there were none."""
        doing = ", ".join(map(repr, commands))
        story = self._story(f"with {doing} on it" if doing else "while idle")
        if self.garbled:
            return ProtocolError(story, **self._facts())
        return BrokenWorkerError(story, request_sent=request_sent, **self._facts())

    def not_sent(self, command: str) -> BrokenWorkerError:
        """The error for a call that found it gone."""
        text = f"{self.worker} is gone, {command!r} was not sent to it: the worker {self.what}"
        return BrokenWorkerError(text, request_sent=False, **self._facts())

    def _story(self, when: str) -> str:
        stderr = self.stderr_tail.strip()[-QUOTED_STDERR:]
        said = f"; last on stderr:\n{stderr}" if stderr else ""
        if self.traceback not in stderr:  # where most bridges have written it too
            said = f"\n{self.traceback}{said}"
        return (
            f"worker {self.worker} (pid {self.pid}, {self.age:.2f} s old) "
            f"{describe_exit(self.returncode)} {when}: {self.what}{said}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "worker": self.worker,
            "pid": self.pid,
            "returncode": self.returncode,
            "stderr_tail": self.stderr_tail,
        }

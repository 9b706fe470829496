"""A child that does everything right."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bridge.messages import HANDSHAKE_ID
from pool.testing.script import Request, Script

if TYPE_CHECKING:
    from pool.testing.child import Child

Command = Callable[[dict[str, Any]], object]
"""Takes the arguments and returns the result, or raises what the command fails of."""

END_GRACE = 0.8
"""Seconds that a call may still run after end of file, as with our own bridges."""


class Obedient(Script):
    """A bridge: ready after `start_time` seconds, then one call after the other.

    `echo` returns its arguments; `sleep` takes `seconds`; `commands` are added
    to these, each a function of the arguments, and take `call_time` seconds.
    `ping`, `shutdown`, end of file and SIGTERM are as with our own bridges.
    """

    capabilities: tuple[str, ...] = ()

    def __init__(
        self,
        commands: Mapping[str, Command] | None = None,
        *,
        start_time: float = 0.0,
        call_time: float = 0.0,
    ) -> None:
        self.commands: dict[str, Command] = {
            "echo": lambda args: args,
            "sleep": lambda args: {"slept": args["seconds"]},
            **(commands or {}),
        }
        self.start_time = start_time
        self.call_time = call_time
        self.present: Request | None = None
        """The request that it works on."""
        self._waiting: deque[Request] = deque()
        self._ends_after_call = False

    # What happens

    def requested(self, child: Child, request: Request) -> None:
        self._waiting.append(request)
        self._work(child)

    def end_of_file(self, child: Child) -> None:
        if self.present is None:
            self.leave(child)
        else:
            child.later(END_GRACE, self.leave, child)

    def terminated(self, child: Child) -> None:
        self._ends_after_call = True
        if self.present is None:
            self.leave(child)

    # What it does, each of which may be overridden

    def begin(self, child: Child, request: Request) -> None:
        """Start to work on the present request."""
        child.later(self.takes(request), self.finish, child, request)

    def finish(self, child: Child, request: Request) -> None:
        """Answer the present request and go on to the next."""
        self.answer(child, request)
        self.done(child)

    def done(self, child: Child) -> None:
        """Go on to the next request."""
        self.present = None
        if self._ends_after_call:
            self.leave(child)
        else:
            self._work(child)

    def takes(self, request: Request) -> float:
        """Seconds from reading a request until it is answered."""
        if request.id == HANDSHAKE_ID:
            return self.start_time
        if request.command == "sleep":
            return float(request.args["seconds"])
        return self.call_time if request.command in self.commands else 0.0

    def answer(self, child: Child, request: Request) -> None:
        """Answer the present request."""
        if request.command in self.commands:
            self._run(child, request)
        elif request.command == "ping":
            child.reply(request.id, {"status": "ok", "capabilities": [*self.capabilities]})
        elif request.command == "shutdown":
            child.reply(request.id, {"status": "shutting_down"})
            self.leave(child)
        else:
            text = f"Unknown command: {request.command}"
            child.fail(request.id, text, error_type="UnknownCommand")

    def members(self, request: Request) -> dict[str, Any]:
        """Return more members for the reply to a command, such as `define`."""
        return {}

    def leave(self, child: Child) -> None:
        """Exit, for it was asked to."""
        child.exit(0)

    def _work(self, child: Child) -> None:
        if self.present is None and self._waiting:
            self.present = self._waiting.popleft()
            self.begin(child, self.present)

    def _run(self, child: Child, request: Request) -> None:
        try:
            result = self.commands[request.command](request.args)
        except Exception as error:
            child.fail(request.id, str(error), error_type=type(error).__name__)
        else:
            child.reply(request.id, result)

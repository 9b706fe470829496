"""A child that does everything right."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.messages import HANDSHAKE_ID
from pool.testing.batched import Batched
from pool.testing.commands import BUILT_IN, Command, in_batch, is_stream
from pool.testing.script import Control, Request, Script
from pool.testing.streamed import Streamed
from pool.testing.work import Single, Work, fail

if TYPE_CHECKING:
    from pool.testing.child import Child

END_GRACE = 0.8
"""Seconds that a call may still run after end of file, as with our own bridges."""

EVERYTHING = ("concurrent", "cancel", "credit", "batch")
"""The capabilities of a bridge that can do all that scripted children can."""


class Obedient(Script):
    """A bridge: ready after `start_time` seconds, then one call after the other.

    `echo` returns its arguments; `sleep` takes `seconds`; `count` gives `n`
    items; `commands` are added to these, each a function of the arguments. They
    take `call_time` seconds, streams so long for each item unless an argument
    `delay` says otherwise. `ping`, `shutdown`, end of file and SIGTERM are as with our
    own bridges.

    With "concurrent" among its `capabilities` it works on as many calls at a
    time as the pool says. `$cancel` ends a call after `cancel_time` seconds,
    where it has "cancel"; a batch tells of every `portion` of its calls as soon as
    they are done, None is all together.
    """

    def __init__(
        self,
        commands: Mapping[str, Command] | None = None,
        *,
        start_time: float = 0.0,
        call_time: float = 0.0,
        cancel_time: float = 0.0,
        portion: int | None = None,
        capabilities: Sequence[str] = (),
    ) -> None:
        self.commands: dict[str, Command] = {**BUILT_IN, **(commands or {})}
        self.start_time = start_time
        self.call_time = call_time
        self.cancel_time = cancel_time
        self.portion = portion
        self.capabilities = tuple(capabilities)
        self.running: dict[int, Request] = {}
        """The requests that it works on."""
        self._work: dict[int, Work] = {}
        self._limit = 1
        self._waiting: deque[Request] = deque()
        self._ends_after_calls = False

    # What happens

    def requested(self, child: Child, request: Request) -> None:
        if request.id == HANDSHAKE_ID and "concurrent" in self.capabilities:
            self._limit = request.args.get("concurrency", 1)
        if request.command == "ping" and self._limit > 1:
            self._begin(child, request)  # besides the calls
        else:
            self._waiting.append(request)
            self._go_on(child)

    def told(self, child: Child, control: Control) -> None:
        work = self._work.get(control.id)
        if control.command == "$cancel":
            self._end_soon(child, control.id)
        elif isinstance(work, Streamed):
            work.grant(control.items)

    def end_of_file(self, child: Child) -> None:
        if not self.running:
            self.leave(child)
        else:
            child.later(END_GRACE, self.leave, child)

    def terminated(self, child: Child) -> None:
        self._ends_after_calls = True
        if not self.running:
            self.leave(child)

    # What it does, each of which may be overridden

    def begin(self, child: Child, request: Request) -> None:
        """Start to work on a request."""
        work = self._work[request.id] = self.work_on(child, request)
        work.go_on()

    def work_on(self, child: Child, request: Request) -> Work:
        """What there is to do for a request."""
        command, pause = self.commands.get(request.command), self.takes(request)
        done = partial(self.done, child, request)
        if command is not None and request.batch is not None:
            return Batched(child, request, in_batch(command), pause, self.portion, done)
        if command is not None and is_stream(command):
            credit = request.credit if "credit" in self.capabilities else None
            return Streamed(child, request, command(request.args), pause, credit, done)
        return Single(child, request, pause, partial(self.answer, child, request), done)

    def cancelled(self, child: Child, work: Work) -> None:
        """The pool has given up a call, and the time to end it has come."""
        work.cancel()

    def done(self, child: Child, request: Request) -> None:
        """Go on to the next request."""
        self.running.pop(request.id, None)
        self._work.pop(request.id, None)
        if not self._ends_after_calls:
            self._go_on(child)
        elif not self.running:
            self.leave(child)

    def takes(self, request: Request) -> float:
        """Seconds from reading a request until it is answered; for each item, and call of many."""
        if request.id == HANDSHAKE_ID:
            return self.start_time
        if request.command == "sleep" and request.batch is None:
            return float(request.args["seconds"])
        command = self.commands.get(request.command)
        if command is not None and is_stream(command) and "delay" in request.args:
            return float(request.args["delay"])
        return 0.0 if command is None else self.call_time

    def lasts(self, request: Request) -> float:
        """Seconds from reading a request until all of it is answered."""
        if request.batch is not None:
            return self.takes(request) * len(request.batch)
        command = self.commands.get(request.command)
        if command is not None and is_stream(command):
            return self.takes(request) * float(request.args.get("n", 1))
        return self.takes(request)

    def answer(self, child: Child, request: Request) -> None:
        """Answer a request at once, and in one reply."""
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

    def _go_on(self, child: Child) -> None:
        while self._waiting and len(self.running) < self._limit:
            self._begin(child, self._waiting.popleft())

    def _begin(self, child: Child, request: Request) -> None:
        self.running[request.id] = request
        self.begin(child, request)

    def _end_soon(self, child: Child, call_id: int) -> None:
        waiting = next((one for one in self._waiting if one.id == call_id), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            fail(child, waiting, asyncio.CancelledError())
        elif call_id in self._work:
            child.later(self.cancel_time, self.cancelled, child, self._work[call_id])

    def _run(self, child: Child, request: Request) -> None:
        command = self.commands[request.command]
        if request.batch is not None:
            Batched(child, request, in_batch(command), 0.0, None, _nothing).go_on()
        elif is_stream(command):
            child.reply(request.id, {"items": 0})
        else:
            self._run_single(child, request)

    def _run_single(self, child: Child, request: Request) -> None:
        try:
            result = self.commands[request.command](request.args)
        except Exception as error:
            fail(child, request, error)
        else:
            child.reply(request.id, result, **self.members(request))


def _nothing() -> None:
    """There is nothing to go on with."""

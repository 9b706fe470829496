"""One call at a time."""

from __future__ import annotations

import asyncio
import contextvars
import select
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.call import Call
from bridge.intake import Intake, tell
from bridge.messages import Failure
from bridge.perform import perform, perform_async
from bridge.replies import Replies
from bridge.requests import Cancel, Credit, Request
from bridge.streams import TURN
from bridge.watch import LoopWatch


class SerialRunner:
    """Plain commands on the main thread, asynchronous ones on one event loop.

    The loop is made for the first command that needs it and lives as long as
    the worker. It turns whenever no plain command runs, also between calls, so
    that tasks which a command left behind go on; it never turns around a plain
    command, which may use `asyncio.run` itself.

    While a command runs that could hear it, what the pool says about calls is
    read, by the loop or, in plain streams and batches, between two items.
    """

    def __init__(self, intake: Intake, replies: Replies) -> None:
        self._intake = intake
        self._stop = intake.stop
        self._replies = replies
        self._wire_fd, self._stop_fd = intake.fds
        self._poll = select.poll()
        for fd in intake.fds:
            self._poll.register(fd, select.POLLIN)
        self._watch = LoopWatch(intake.hears)
        self._runner: asyncio.Runner | None = None
        self._current: Call | None = None
        self._is_idle = False
        self._has_ended = False
        self._next_look = 0.0
        intake.obey = self._obey

    # Requests

    def next(self, *, has_started: bool) -> Request | Failure | None:
        """Return the next request; None when it is time to end.

        A bridge that has yet to start when it is stopped serves nothing: it
        would load for long, say that it is ready, and go.
        """
        stop, waiting = self._stop, self._intake.waiting
        while not self._has_ended and (has_started or not stop.requested):
            if stop.requested:
                self._intake.last_requests()
            if waiting:
                return waiting.popleft()
            if stop.requested or self._intake.is_at_end:
                return None
            self._wait()
        return None

    def end(self) -> None:
        """Take no more requests."""
        self._has_ended = True

    def _wait(self) -> None:
        """Return when something was read, or is to end; the loop, if any, turns meanwhile."""
        if self._runner is None:
            self._read_or_stop()
            return
        self._is_idle = True
        try:
            self._runner.get_loop().run_forever()
        finally:
            self._is_idle = False

    def _read_or_stop(self) -> None:
        """Wait for the wire or a signal, and read what has come."""
        for fd, _ in self._poll.poll():
            if self._stop.requested:
                return
            if fd == self._wire_fd:
                self._intake.read()
            else:
                self._stop.drain()

    def _obey(self, control: Cancel | Credit) -> None:
        current = self._current
        if current is not None and current.id == control.id:
            tell(control, current)
            self._watch.notify()
        elif (waiting := self._intake.find(control.id)) is not None:
            tell(control, waiting)

    # Calls

    def run(self, call: Call) -> None:
        """Run a call to its end."""
        context = contextvars.copy_context()
        self._current = call
        if call.command.is_async:
            self.run_coroutine(perform_async(call, self._replies, self._watch), context)
        else:
            context.run(perform, call, self._replies, self)
        self._current = None

    run_at_once = run

    def look(self, now: float) -> None:
        """Read what has come, if the last look was some time ago."""
        if now >= self._next_look:
            self._next_look = now + TURN
            self._intake.look()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Read until that is true, or nothing more can come."""
        while not condition() and self._intake.hears():
            if self._stop.requested:
                self._intake.last_look()
            else:
                self._read_or_stop()

    # The loop

    def run_coroutine(
        self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context | None = None
    ) -> Any:
        """Run it to its end on the event loop, which is made if there is none yet."""
        runner = self._runner or self._make_loop()
        return runner.run(coroutine, context=context)

    def _make_loop(self) -> asyncio.Runner:
        self._runner = asyncio.Runner()
        loop = self._runner.get_loop()
        loop.add_reader(self._wire_fd, self._on_readable, loop)
        loop.add_reader(self._stop_fd, self._on_signal, loop)
        return self._runner

    def _on_readable(self, loop: asyncio.AbstractEventLoop) -> None:
        or_end(self._intake.look)  # a plain stream may have read it before this turn
        if self._intake.is_at_end:
            loop.remove_reader(self._wire_fd)
            self._watch.notify()
        if self._is_idle:
            loop.stop()

    def _on_signal(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._stop.requested:
            self._stop.drain()
            return
        loop.remove_reader(self._stop_fd)
        self._intake.give_up()  # what was sent before is read in the same turn
        self._watch.notify()
        if self._is_idle:
            loop.stop()

    def hand_over_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop to somebody who reads the wire from now on; it is closed here."""
        loop = (self._runner or self._make_loop()).get_loop()
        for fd in self._intake.fds:
            loop.remove_reader(fd)
        return loop

    def close(self) -> None:
        """End what commands have left behind."""
        if self._runner is not None:
            self._runner.close()


def or_end(read: Callable[[], None]) -> None:
    """Read, in a callback of the loop: an error there ends the process as it would elsewhere."""
    try:
        read()
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(1) from error

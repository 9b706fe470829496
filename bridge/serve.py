"""What a request means, and who answers it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

from bridge.call import Call
from bridge.concurrent_runner import ConcurrentRunner
from bridge.context import CallContext
from bridge.ending import END_GRACE, Stop, exit_status, exit_within
from bridge.intake import Intake
from bridge.messages import Failure, args_object, failure, success
from bridge.news import catch_up
from bridge.registry import Bridge, Command
from bridge.replies import Replies
from bridge.requests import Request
from bridge.serial_runner import SerialRunner
from bridge.start import Start, StartFailed
from bridge.wire import Wire


@dataclass(frozen=True, slots=True)
class Identity:
    """What `ping` says about this process."""

    mode: str
    worker_id: str | None


class _PingArgs(Struct):
    initialization: Any = False
    options: msgspec.Raw = msgspec.Raw(b"{}")
    concurrency: Annotated[int, Meta(ge=1)] | None = None
    memory: Any = None


_decode_ping = msgspec.json.Decoder(_PingArgs).decode


class Runner(Protocol):
    """Runs calls, in one of two ways, and answers them."""

    def run(self, call: Call) -> None:
        """Run a call when its turn comes."""
        ...

    def run_at_once(self, call: Call) -> None:
        """Run a call that must not wait for others, unless all wait for each other."""
        ...

    def end(self) -> None:
        """Take no more requests."""
        ...


class Server:
    """Serves one bridge over one wire, one call at a time unless the pool says that it has more.

    `imports` is how many seconds it took to import the bridge.
    """

    def __init__(
        self, bridge: Bridge, wire: Wire, stop: Stop, identity: Identity, imports: float = 0.0
    ) -> None:
        self._bridge = bridge
        self._wire = wire
        self._identity = identity
        self._imports = imports
        self._replies = Replies(wire, bridge.tally, wire.memory)
        self._intake = Intake(wire, stop)
        self._serial = SerialRunner(self._intake, self._replies)
        self._concurrent: ConcurrentRunner | None = None
        self._runner: Runner = self._serial
        self._concurrency = 1
        self._start = Start(bridge, self._serial.run_coroutine)

    # Life

    def run(self) -> int:
        """Serve until end of file, SIGTERM or `shutdown`; return the exit status."""
        status = 1
        try:
            status = self._serve_to_the_end()
        finally:
            exit_within(END_GRACE, status)
            self._close()
        return status

    def _serve_to_the_end(self) -> int:
        try:
            self._serve()
        except StartFailed as error:
            self._replies.fail(error.reply)
            print(f"bridge: start-up failed\n{error.reply.traceback}", file=sys.stderr)
            return 1
        except SystemExit as error:
            # A command has ended its process, on purpose: that is not for us to prevent.
            return exit_status(error)
        return 0

    def _serve(self) -> None:
        while (request := self._serial.next(has_started=self._start.is_done)) is not None:
            self.handle(request)
        if self._concurrency > 1:
            loop = self._serial.hand_over_loop()
            self._concurrent = ConcurrentRunner(
                self._concurrency, self._intake, self._replies, loop
            )
            self._runner = self._concurrent
            self._concurrent.serve(self.handle)
        elif self._intake.stop.requested:
            # Not when the process ends, which takes a while: what is sent until then is lost.
            self._wire.hang_up()

    def _close(self) -> None:
        if self._concurrent is not None:
            self._concurrent.close()
        self._serial.close()

    # Requests

    def handle(self, request: Request | Failure) -> None:
        """Answer a request, or see to it that it will be."""
        if isinstance(request, Failure):
            self._replies.fail(request)
            return
        frame = request.frame
        self._bridge.tally.commands += 1 if frame.batch is None else len(frame.batch)
        if frame.define or frame.forget or frame.forget_sessions:
            catch_up(self._bridge, frame, request.session)
        if request.command == "ping":
            self._ping(request)
        elif request.command == "shutdown":
            self._shutdown(request)
        else:
            if not self._start.is_done:
                self._start.run(request.id, b"{}")
            self._call(request)

    def _ping(self, request: Request) -> None:
        try:
            ping = _decode_ping(request.args)
            options = args_object(ping.options)
        except ValueError as error:
            self._replies.fail(failure(request.id, str(error), "ArgumentError"))
            return
        if ping.initialization:
            self._start.run(request.id, options)
        now = {
            "status": "ok",
            "timestamp": time.time(),
            "uptime": self._bridge.tally.uptime,
            "mode": self._identity.mode,
            "worker_id": self._identity.worker_id,
            "capabilities": self._bridge.capabilities,
        }
        if ping.initialization:
            now["timings"] = {"import": self._imports, "start_up": self._start.seconds}
        if ping.initialization and self._wire.memory is not None:
            now |= self._wire.memory.agree(ping.memory, self._bridge.capabilities)
        self._answer_builtin(request, now)
        if ping.initialization and (ping.concurrency or 1) > self._concurrency == 1:
            self._concurrency = ping.concurrency or 1
            self._serial.end()

    def _shutdown(self, request: Request) -> None:
        worker = {"worker_id": self._identity.worker_id, "mode": self._identity.mode}
        self._answer_builtin(request, {"status": "shutting_down", **worker})
        self._runner.end()

    def _answer_builtin(self, request: Request, result: dict[str, Any]) -> None:
        """Answer for the server; a bridge's own command of that name may add to the result."""
        command = self._bridge.find(request.command)
        if command is None:
            self._replies.send(success(request.id, result))
        else:
            self._runner.run_at_once(self._call_of(command, request, result))

    def _call(self, request: Request) -> None:
        command = self._bridge.find(request.command)
        if command is None:
            text = f"Unknown command: {request.command}"
            known = {"commands": [*self._bridge.names, "ping", "shutdown"]}
            self._replies.fail(failure(request.id, text, "UnknownCommand", details=known))
            return
        self._runner.run(self._call_of(command, request))

    def _call_of(
        self, command: Command, request: Request, base: dict[str, Any] | None = None
    ) -> Call:
        sender, frame = self._replies.sender, request.frame
        batch = frame.batch
        return Call(
            request.id,
            command,
            request.args,
            CallContext(request.id, request.session, sender, batch is not None, frame.trace),
            batch,
            request.credit,
            request.cancelled,
            base,
            memory=self._wire.memory,
            table=frame.memory,
        )

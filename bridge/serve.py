"""The loop: frame in, command, frame out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from bridge.context import CallContext
from bridge.ending import END_GRACE, exit_within
from bridge.intake import Intake, Stop
from bridge.messages import (
    ANONYMOUS,
    Failure,
    Request,
    args_object,
    failure,
    success,
)
from bridge.registry import Bridge, Command
from bridge.report import report
from bridge.runner import SerialRunner
from bridge.secrets import learn_options, secrets
from bridge.wire import ResultTooLarge, Wire

SHORT = 100
"""Characters of an error that fit into the smallest frame that may be set."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What `ping` says about this process."""

    mode: str
    worker_id: str | None


class StartFailed(Exception):
    """A start-up function raised; `reply` says what. The process is of no use."""

    def __init__(self, reply: Failure) -> None:
        super().__init__(reply.error)
        self.reply = reply


class _PingArgs(Struct):
    initialization: Any = False
    options: msgspec.Raw = msgspec.Raw(b"{}")


class _SessionArgs(Struct):
    session_id: str | None = None


class _Incoming(Struct):
    """A request that can be read; `args` is a JSON object."""

    id: int
    command: str
    args: bytes
    session: str


_decode_request = msgspec.json.Decoder(Request).decode
_decode_ping = msgspec.json.Decoder(_PingArgs).decode
_decode_session = msgspec.json.Decoder(_SessionArgs).decode


class Server:
    """Serves one bridge over one wire, one call at a time."""

    def __init__(self, bridge: Bridge, wire: Wire, stop: Stop, identity: Identity) -> None:
        self._bridge = bridge
        self._wire = wire
        self._identity = identity
        self._runner = SerialRunner(wire.read_fd, stop.fd)
        self._intake = Intake(wire, stop, self._runner)
        self._started = False
        self._shut_down = False

    def run(self) -> int:
        """Serve until end of file, SIGTERM or `shutdown`; return the exit status."""
        status = 0
        try:
            while not self._shut_down and (payload := self._next()) is not None:
                self._serve(payload)
        except StartFailed as error:
            self._fail(error.reply)
            print(f"bridge: start-up failed\n{error.reply.traceback}", file=sys.stderr)
            status = 1
        except SystemExit as error:
            # A command has ended its process, on purpose: that is not for us to prevent.
            status = _exit_status(error)
        exit_within(END_GRACE, status)
        self._runner.close()
        return status

    def _next(self) -> bytes | None:
        return self._intake.next(has_started=self._started)

    def _serve(self, payload: bytes) -> None:
        secrets.learn_arguments(payload)
        try:
            request = _decode_request(payload)
            args = args_object(request.args)
            incoming = _Incoming(request.id, request.command, args, _session_of(args))
        except (ValueError, RecursionError) as error:
            self._fail(_unreadable(payload, error))
            return
        self._bridge.tally.commands += 1
        if request.define or request.forget or request.forget_sessions:
            self._catch_up(request, incoming.session)
        if incoming.command == "ping":
            self._ping(incoming)
        elif incoming.command == "shutdown":
            self._shutdown(incoming)
        else:
            self._start(incoming.id, b"{}")
            self._call(incoming)

    def _start(self, call_id: int, options: bytes) -> None:
        if self._started:
            return
        learn_options(options)
        for function in self._bridge.start_functions:
            try:
                made = function(options)
                if hasattr(made, "__await__"):
                    self._runner.run_coroutine(made)
            except Exception as error:
                raise StartFailed(report(call_id, error)) from error
        self._started = True

    def _ping(self, incoming: _Incoming) -> None:
        try:
            ping = _decode_ping(incoming.args)
            options = args_object(ping.options)
        except ValueError as error:
            self._fail(failure(incoming.id, str(error), "ArgumentError"))
            return
        if ping.initialization:
            self._start(incoming.id, options)
        now = {
            "status": "ok",
            "timestamp": time.time(),
            "uptime": self._bridge.tally.uptime,
            "mode": self._identity.mode,
            "worker_id": self._identity.worker_id,
            "capabilities": self._bridge.capabilities,
        }
        self._answer_builtin(incoming, now)

    def _shutdown(self, incoming: _Incoming) -> None:
        self._shut_down = True
        worker = {"worker_id": self._identity.worker_id, "mode": self._identity.mode}
        self._answer_builtin(incoming, {"status": "shutting_down", **worker})

    def _answer_builtin(self, incoming: _Incoming, result: dict[str, Any]) -> None:
        """Answer for the server; a bridge's own command of that name may add to the result."""
        command = self._bridge.find(incoming.command)
        if command is None:
            self._wire.send(success(incoming.id, result))
        else:
            self._run(command, incoming, result)

    def _call(self, incoming: _Incoming) -> None:
        command = self._bridge.find(incoming.command)
        if command is None:
            text = f"Unknown command: {incoming.command}"
            known = {"commands": [*self._bridge.names, "ping", "shutdown"]}
            self._fail(failure(incoming.id, text, "UnknownCommand", details=known))
            return
        self._run(command, incoming)

    def _run(
        self, command: Command, incoming: _Incoming, base: dict[str, Any] | None = None
    ) -> None:
        call = CallContext(incoming.id, incoming.session, self._wire)
        try:
            arguments = command.arguments.decode(incoming.args)
            result = self._runner.run(command, arguments, call)
            if base is not None and isinstance(result, dict):
                result = {**base, **result}
            reply = success(
                incoming.id,
                result,
                define=call.define,
                forget=call.forget,
                forget_all=call.forget_all,
            )
            self._wire.send(reply)
        except (Exception, asyncio.CancelledError) as error:
            self._fail(report(incoming.id, error))

    def _fail(self, reply: Failure) -> None:
        """Report a failure, in short where its full story is too long for a frame."""
        self._bridge.tally.errors += 1
        try:
            self._wire.send(reply)
        except ResultTooLarge:
            self._wire.send(failure(reply.id, reply.error[:SHORT], reply.error_type))

    def _catch_up(self, request: Request, session: str) -> None:
        for ended in request.forget_sessions:
            _attempt(f"forget session {ended!r}", self._bridge.drop, ended, None)
        for key in request.forget:
            _attempt(f"forget {key!r}", self._bridge.drop, session, key)
        for item in request.define:
            given = (session, item.key, item.version, item.definition)
            _attempt(f"take over {item.key!r}", self._bridge.adopt, *given)


def _attempt(what: str, function: Callable[..., None], *given: Any) -> None:
    try:
        function(*given)
    except Exception as error:
        # The call may have nothing to do with it; one that has says what it lacks.
        print(f"bridge: cannot {what}\n{report(None, error).traceback}", file=sys.stderr)


def _exit_status(error: SystemExit) -> int:
    """The status that the interpreter would exit with; words go to stderr."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def _session_of(args: bytes) -> str:
    if b'"session_id"' not in args:
        return ANONYMOUS
    return _decode_session(args).session_id or ANONYMOUS


def _unreadable(payload: bytes, error: Exception) -> Failure:
    """The reply to a frame that is no request, with its id where one can be read."""
    try:
        members = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        members = None
    call_id = members.get("id") if isinstance(members, dict) else None
    if not isinstance(call_id, int) or isinstance(call_id, bool):
        call_id = None
    text = f"the frame is not a request {{id, command, args}}: {error}"
    return failure(call_id, text, "BadRequest")

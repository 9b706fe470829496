"""A scripted child, as its script sees it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Any, TypeVarTuple

from bridge.frames import encode
from bridge.messages import is_object, to_json
from bridge.messages.secrets import Secrets
from pool.testing.agenda import Agenda
from pool.testing.inbox import Inbox
from pool.testing.pipes import Pipe
from pool.testing.process import ScriptedProcess, ScriptedStderr
from pool.testing.script import Control, Request, Script
from pool.testing.world import World
from pool.worker.output import log_lines_of

_Ts = TypeVarTuple("_Ts")


class Child:
    """One child: what its script may do, and what a test may look at.

    `requests` are those that it has read, `controls` what it was told about them;
    `returncode` is None while it lives.
    Whatever it does after its end, or where nobody can hear it, does nothing.
    """

    def __init__(self, name: str, pid: int, script: Script, world: World, secrets: Secrets) -> None:
        self.name = name
        self.script = script
        self.requests: list[Request] = []
        self.controls: list[Control] = []
        self.returncode: int | None = None
        self.reap_delay = 0.0
        """Seconds from its end until that is reported."""
        self.has_grandchild = False
        """Whether another process holds its pipes open until the group is killed, at the reap."""
        self.process = ScriptedProcess(pid, self._on_sigterm, self._on_sigkill)
        self.stderr = ScriptedStderr(secrets, log_lines_of(name))
        self.stdin = Pipe(world)
        self.stdout = Pipe(world, takes_all=True)
        self._world = world
        self._agenda = Agenda(world)
        self._inbox = Inbox(
            self.stdin, self._on_request, self._on_control, lambda: script.end_of_file(self)
        )
        self._blocked: list[Callable[[], object]] = []
        self._wants_to_read = True
        self._is_killed = False
        self.later(0.0, self._start)

    def __repr__(self) -> str:
        state = "living" if self.returncode is None else f"ended ({self.returncode})"
        return f"<{self.name}, {state}>"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.returncode is None

    # Talking

    def reply(self, call_id: int | None, result: object, **members: Any) -> None:
        """Answer a request; a result that is no object is wrapped, as our bridges do it.

        `members` are more members of the reply, such as `define`.
        """
        wraps = not is_object(to_json(result))
        shape = {"result": {"value": result}, "wrapped": True} if wraps else {"result": result}
        self.send({"id": call_id, "success": True, **shape, "timestamp": _now(), **members})

    def fail(self, call_id: int | None, error: str, **members: Any) -> None:
        """Answer that the command failed; `members` such as `error_type` are added."""
        self.send({"id": call_id, "success": False, "error": error, "timestamp": _now(), **members})

    def item(self, call_id: int, data: object) -> None:
        """Send an item of a stream."""
        self.send({"id": call_id, "event": "item", "data": data})

    def send(self, message: Mapping[str, Any]) -> None:
        """Send any JSON object."""
        self.send_bytes(encode(to_json(message)))

    def send_bytes(self, data: bytes) -> None:
        """Write to stdout what may or may not be frames."""
        if self.stdout.has_writer and self.stdout.has_reader:
            self.stdout.write(data)

    @property
    def is_blocked(self) -> bool:
        """Whether a real child would wait here until the pool has read something."""
        return self.stdout.has_reader and self.stdout.is_full

    def when_read(self, action: Callable[[], object]) -> None:
        """Call `action` once when the pool has read so much that it is not blocked any more."""
        self._blocked.append(action)
        self.stdout.relieved.watch(self._unblock)

    def say(self, text: str) -> None:
        """Write to stderr."""
        if self.is_alive:
            self.stderr.say(text)

    def close_stdout(self) -> None:
        """Close its end of the wire to the pool, and live on."""
        if self.stdout.has_writer:
            self.stdout.close_writer()

    def close_stdin(self) -> None:
        """Close its end of the wire from the pool, and live on: what the pool writes breaks."""
        self._inbox.listen(False)
        if self.stdin.has_reader:
            self.stdin.close_reader()

    def stop_reading(self) -> None:
        """Leave what comes in the pipe, which holds 64 KiB, until `read_on`."""
        self._listen(False)

    def read_on(self) -> None:
        """Read what is in the pipe, and what comes."""
        self._listen(True)

    # Living and dying

    def later(
        self, seconds: float, action: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Call `action(*args)` in so many seconds, if the child lives to see it.

        If it is stopped at that time, as soon as it goes on.
        """
        return self._agenda.later(seconds, action, *args)

    def exit(self, status: int = 0) -> None:
        """End with an exit status, or by a signal if it is negative; its pipes are closed."""
        if self.is_alive:
            self.returncode = status
            self._agenda.end()
            self._inbox.listen(False)
            if not self.has_grandchild:
                self._close_pipes()
            self._world.later(self.reap_delay + self._world.lag(), self._report, status)

    def stop(self, seconds: float | None = None) -> None:
        """SIGSTOP: it does and notices nothing, until `cont` or for so many seconds.

        SIGKILL ends it all the same.
        """
        if self.is_alive:
            self._agenda.stop()
            self._inbox.listen(False)
            if seconds is not None:
                self._world.later(seconds, self.cont)

    def cont(self) -> None:
        """SIGCONT: what came up meanwhile happens now."""
        if not self._is_killed:
            self._agenda.cont()
            self._listen(self._wants_to_read)

    @property
    def private_memory(self) -> int:
        """Bytes that it shares with nobody."""
        return self.process.memory

    @private_memory.setter
    def private_memory(self, size: int) -> None:
        self.process.memory = size

    # What happens to it

    def _start(self) -> None:
        self._listen(self._wants_to_read)
        self.script.started(self)

    def _listen(self, wants_to_read: bool) -> None:
        self._wants_to_read = wants_to_read
        able = self.is_alive and not self._agenda.is_stopped and self.stdin.has_reader
        self._inbox.listen(wants_to_read and able)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)
        self.script.requested(self, request)

    def _on_control(self, control: Control) -> None:
        self.controls.append(control)
        self.script.told(self, control)

    def _unblock(self) -> None:
        self.stdout.relieved.ignore()
        blocked, self._blocked = self._blocked, []
        for action in blocked:
            self.later(0.0, action)

    def _on_sigterm(self) -> None:
        if self.is_alive:
            self.later(self._world.lag(), self.script.terminated, self)

    def _on_sigkill(self) -> None:
        # From here on it does nothing any more, though it is not gone yet.
        self._is_killed = True
        self.stop()
        self._world.later(self._world.lag(), self.exit, -signal.SIGKILL)

    def _report(self, status: int) -> None:
        self._close_pipes()
        self.process.report(status)

    def _close_pipes(self) -> None:
        self.close_stdin()
        self.close_stdout()


def _now() -> float:
    return asyncio.get_running_loop().time()

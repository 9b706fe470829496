"""A child that does everything wrong that was ever seen."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from bridge.messages import HANDSHAKE_ID
from pool.testing.bad_calls import BadCalls
from pool.testing.commands import Command
from pool.testing.script import Request
from pool.testing.vices import CALL, CHARACTER, START, Vices
from pool.testing.work import Work

if TYPE_CHECKING:
    from pool.testing.child import Child


class Misbehaving(BadCalls):
    """An `Obedient` child with `vices`; which of them, and when, is drawn from `random`.

    What is slow or late takes up to `slowness` seconds, in steps of a twentieth,
    so that it often coincides with something else; within that time, too, it
    dies idle or is stopped, if it is to be. `vice_of_start` and `character`
    are what was drawn for this child.
    """

    def __init__(
        self,
        random: Random,
        vices: Vices | None = None,
        *,
        slowness: float = 10.0,
        commands: Mapping[str, Command] | None = None,
        start_time: float = 0.0,
        call_time: float = 0.0,
        portion: int | None = None,
        capabilities: Sequence[str] = (),
    ) -> None:
        super().__init__(random, slowness, commands, start_time, call_time, portion, capabilities)
        self.vices = vices or Vices()
        self.vice_of_start = self.vices.draw_one(random, START)
        self.character = self.vices.draw_some(random, CHARACTER)
        self._version = 0
        self._choose_start()

    def _choose_start(self) -> None:
        match self.vice_of_start:
            case "launch_is_slow":
                self.launch_time = self.a_while()
            case "launch_fails":
                self.launch_error = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            case "slow_start":
                self.start_time += self.a_while()
        if "defines" in self.character:
            self.capabilities += ("define",)
        if "slow_cancel" in self.character:
            self.cancel_time = self.a_while()

    # Starting and ending

    def started(self, child: Child) -> None:
        child.has_grandchild = "leaves_grandchild" in self.character
        if "slow_reap" in self.character:
            child.reap_delay = self.part()
        if "is_stopped" in self.character:
            child.later(self.a_while(), lambda: child.stop(self.a_while()))
        if "dies_idle" in self.character:
            child.later(self.a_while(), self._die_if_idle, child)
        if self.vice_of_start == "exits_at_start":
            child.say("told to end before it is ready")
            child.later(self.start_time * self.part(), self.die, child)

    def end_of_file(self, child: Child) -> None:
        if "ignores_end_of_file" not in self.character:
            super().end_of_file(child)

    def terminated(self, child: Child) -> None:
        if "ignores_sigterm" not in self.character:
            super().terminated(child)

    def leave(self, child: Child) -> None:
        delay = self.a_while() if "slow_exit" in self.character else 0.0
        child.later(delay, child.exit, 0)

    # Calls

    def begin(self, child: Child, request: Request) -> None:
        if request.id == HANDSHAKE_ID:
            self._begin_handshake(child, request)
        elif request.command == "shutdown":
            self._begin_shutdown(child, request)
        else:
            # Each vice of a call is a method of that name.
            vice = self.vices.draw_one(self.random, CALL)
            getattr(self, vice or "behave")(child, request)

    def takes(self, request: Request) -> float:
        seconds = super().takes(request)
        if "any_order" in self.character and request.id != HANDSHAKE_ID:
            return seconds * self.random.randrange(8)
        return seconds

    def cancelled(self, child: Child, work: Work) -> None:
        if "answers_cancelled" in self.character and not work.is_over:
            work.stop()
            self.answer(child, work.request)
            self.done(child, work.request)
        elif "ignores_cancel" not in self.character:
            super().cancelled(child, work)

    def members(self, request: Request) -> dict[str, Any]:
        if "defines" not in self.character or self.random.random() < 0.5:
            return {}
        key = self.random.choice("abc")
        if self.random.random() < 0.25:
            return {"forget": [key]}
        self._version += 1
        made = {"key": key, "version": str(self._version), "definition": {"made": key}}
        return {"define": made}

    def _begin_handshake(self, child: Child, request: Request) -> None:
        if self.vice_of_start == "start_fails":
            child.later(self.start_time, self._fail_start, child, request)
        elif self.vice_of_start not in ("never_ready", "exits_at_start"):
            self.behave(child, request)

    def _fail_start(self, child: Child, request: Request) -> None:
        child.fail(request.id, "there are no weights", error_type="FileNotFoundError")
        if self.random.random() < 0.5:
            child.exit(1)

    def _begin_shutdown(self, child: Child, request: Request) -> None:
        if "only_acknowledges" in self.character:
            child.reply(request.id, {"status": "shutting_down"})
            self.done(child, request)
        elif "ignores_shutdown" in self.character:
            self.done(child, request)
        else:
            self.behave(child, request)

    def _die_if_idle(self, child: Child) -> None:
        if not self.running:
            self.die(child)

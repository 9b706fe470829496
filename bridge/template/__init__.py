"""The template: a process that has imported everything once, and forks workers on request.

It has one thread and one connection, to its pool: it is told to load, says
how that went, and then makes a worker for each request until the pool closes
its end. It reaps its workers and tells how each ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import NoReturn

from bridge.lifeline import hold
from bridge.memory import Memory
from bridge.messages.template import (
    Exited,
    Fork,
    Forked,
    Load,
    Loaded,
    Refused,
    Unfit,
)
from bridge.process import catch_signals, send_logs_to_stderr, serve_bridge
from bridge.registry import Bridge, Tally
from bridge.serve import Identity
from bridge.stdio import take_stdio
from bridge.template.control import Control
from bridge.template.forking import Place, leave, place_of, settle
from bridge.template.loading import Loading, Unloadable
from bridge.template.safety import hazards, open_descriptors
from bridge.wire import Wire


def run_template(target: str, lifeline: int) -> NoReturn:
    """Be a template on stdin, which is a Unix socket; never returns."""
    hold(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reading, writing = take_stdio()
    os.close(writing)
    send_logs_to_stderr()
    Template(target, Control(reading), lifeline).run()
    os._exit(0)


class Template:
    """What is loaded, and the workers that were made of it."""

    def __init__(self, target: str, control: Control, lifeline: int) -> None:
        self._target = target
        self._control = control
        self._lifeline = lifeline
        self._given = set(open_descriptors())
        self._workers: dict[int, int] = {}
        """The pid of each worker by its pidfd."""
        self._poll = select.poll()

    def run(self) -> None:
        """Load, report, and fork until the pool closes its end."""
        order = self._control.receive()
        if not isinstance(order, Load):
            return
        loading = Loading(self._target, order)
        try:
            bridge = loading.run()
        except Unloadable as error:
            self._control.send(Unfit(list(error.args)))
            return
        self._threads = loading.threads
        explanation = loading.explanation() if order.explain else None
        self._control.send(Loaded(self._hazards(), explanation, loading.took))
        self._serve(bridge, order.max_frame_bytes)

    def _hazards(self) -> list[str]:
        return hazards(self._given | self._workers.keys() | self._control.held, self._threads)

    def _serve(self, bridge: Bridge, max_frame_bytes: int) -> None:
        self._poll.register(self._control, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._workers:
                    self._reap(fd)
                elif not self._control.read():
                    return
            while isinstance(order := self._control.next(), Fork):
                self._make_worker(bridge, order, max_frame_bytes)

    def _make_worker(self, bridge: Bridge, order: Fork, max_frame_bytes: int) -> None:
        dangers = self._hazards()
        place = place_of(order.worker, self._control.take_fds(order.fds))
        try:
            if dangers:
                self._control.send(Refused(order.number, dangers))
                return
            pid = os.fork()
            if pid == 0:
                leave(lambda: self._be_worker(bridge, place, max_frame_bytes))
        except OSError as error:
            self._control.send(Refused(order.number, error=f"cannot fork: {error.strerror}"))
            return
        finally:
            for fd in place.fds:
                os.close(fd)
        # Until it is reaped, here, its number cannot belong to anybody else.
        pidfd = os.pidfd_open(pid)
        self._workers[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._control.send(Forked(order.number, pid), pidfd)

    def _be_worker(self, bridge: Bridge, place: Place, max_frame_bytes: int) -> int:
        """All that is done in the forked child; return its exit status."""
        settle(place)
        self._control.close()
        for fd in (self._lifeline, *self._workers):
            os.close(fd)
        bridge.tally = Tally()
        stop = catch_signals()
        memory = Memory(place.memory, max_frame_bytes) if place.memory else None
        wire = Wire(place.requests, place.replies, max_frame_bytes, memory)
        return serve_bridge(lambda: bridge, wire, stop, Identity("pool-worker", place.worker))

    def _reap(self, pidfd: int) -> None:
        pid = self._workers.pop(pidfd)
        self._poll.unregister(pidfd)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        # What a worker leaves behind would hold its pipes open and be nobody's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        if ended is not None:
            exited = ended.si_code == os.CLD_EXITED
            status = ended.si_status if exited else -ended.si_status
            self._control.send(Exited(pid, status))

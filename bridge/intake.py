"""The requests that come over the wire, until it is time to end."""

from __future__ import annotations

from typing import Protocol

from bridge.frames import FrameTooLarge
from bridge.messages import failure
from bridge.runner import SerialRunner
from bridge.wire import Wire


class Stop(Protocol):
    """What tells the bridge to end after the present call."""

    requested: bool

    @property
    def fd(self) -> int: ...


class Intake:
    """Takes in one request after the other; tasks that commands left behind go on meanwhile.

    Once `stop` is requested nothing more is waited for, but what has arrived
    already is served: its sender could not know, and may not send it again.
    """

    def __init__(self, wire: Wire, stop: Stop, runner: SerialRunner) -> None:
        self._wire = wire
        self._stop = stop
        self._runner = runner
        self._has_looked_again = False

    def next(self, *, has_started: bool) -> bytes | None:
        """Return the next request; None when it is time to end.

        A bridge that has yet to start when it is stopped serves nothing: it
        would load for long, say that it is ready, and go.
        """
        while has_started or not self._stop.requested:
            try:
                payload = self._wire.next_payload()
            except FrameTooLarge as error:
                self._wire.send(failure(None, str(error), "FrameTooLarge"))
                continue
            if payload is not None or not self._read():
                return payload
        return None

    def _read(self) -> bool:
        """Wait for more and read it; False at end of file, or if there is nothing to wait for."""
        if not self._stop.requested:
            self._runner.wait_readable()
        if not self._stop.requested:
            return self._wire.read()
        return self._read_what_is_there()

    def _read_what_is_there(self) -> bool:
        """Look again, but once only: a busy sender must not keep the process from ending."""
        if self._has_looked_again or not self._wire.is_readable():
            # Not when the process ends, which takes a while: what is sent until then is lost.
            self._wire.hang_up()
            return False
        self._has_looked_again = True
        return self._wire.read()

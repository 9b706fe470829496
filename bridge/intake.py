"""What has come over the wire and waits for its turn."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Protocol

from bridge.ending import Stop
from bridge.frames import FrameTooLarge
from bridge.messages import Failure, failure
from bridge.requests import Cancel, Control, Credit, Ignored, Release, Request, Trim, read
from bridge.secrets import secrets
from bridge.wire import Wire


class Addressee(Protocol):
    """What may be cancelled, and given more credit."""

    def cancel(self) -> None: ...

    def grant(self, items: int) -> None: ...


class Intake:
    """The requests that have arrived, in their order; in place of nonsense, what to say to it.

    What is said about other calls does not wait: `obey` is called as it is
    read. A pool sends no more calls than it was told that it may, so what
    waits here is bounded.
    """

    def __init__(self, wire: Wire, stop: Stop) -> None:
        self.waiting: deque[Request | Failure] = deque()
        self.is_at_end = False
        self.obey: Callable[[Cancel | Credit], None] = _ignore
        self.stop = stop
        self._wire = wire
        self._is_shut = False
        self._is_deaf = False
        self._has_noted = False

    @property
    def fds(self) -> tuple[int, int]:
        """The descriptors of the wire and of the stop: there is news when one can be read."""
        return self._wire.read_fd, self.stop.fd

    def hears(self) -> bool:
        """Whether it is worth waiting for more: not after end of file, nor after `last_look`."""
        return not (self.is_at_end or self._is_deaf)

    def read(self) -> None:
        """Read once, and sort what has come; blocks if nothing has."""
        payload = self._wire.read()
        if payload is not None:
            self._take(payload)
            return
        self.is_at_end = self._wire.is_at_end
        while True:
            try:
                payload = self._wire.next_payload()
            except FrameTooLarge as error:
                self._sort(failure(None, str(error), "FrameTooLarge"))
                continue
            if payload is None:
                return
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        secrets.learn_arguments(payload)
        said = read(payload)
        if type(said) is Request and not self._is_shut:
            self.waiting.append(said)  # as nearly always
        else:
            self._sort(said)

    def _sort(self, said: Request | Failure | Control) -> None:
        if isinstance(said, Request | Failure):
            if not self._is_shut:
                self.waiting.append(said)
        elif isinstance(said, Ignored):
            self._note(said)
        elif isinstance(said, Release):
            if self._wire.memory is not None:
                self._wire.memory.release(said.id)
        elif isinstance(said, Trim):
            if self._wire.memory is not None:
                self._wire.memory.trim()
        else:
            self.obey(said)

    def _note(self, said: Ignored) -> None:
        """Once: a pool that has learned something new may say it with every call."""
        if not self._has_noted:
            self._has_noted = True
            print(f"bridge: a request without a reply is ignored: {said.why}", file=sys.stderr)

    def look(self) -> None:
        """Read if something has come."""
        if not self.is_at_end and self._wire.is_readable():
            self.read()

    def last_look(self) -> None:
        """Look once more when a stop is requested: nobody need wait for what comes later."""
        self.look()
        self.give_up()

    def give_up(self) -> None:
        """Have nobody wait for more."""
        self._is_deaf = True

    def last_requests(self) -> None:
        """Look, but once only, and take no more requests: the bridge ends.

        What has arrived is served, since its sender could not know. A busy
        one must not keep the process from ending.
        """
        if not self._is_shut:
            self.last_look()
            self.shut()

    def shut(self) -> None:
        """Take no more requests; what is said about calls is heard all the same."""
        self._is_shut = True

    def find(self, call_id: int) -> Request | None:
        """Return the request of that id if it waits."""
        for request in self.waiting:
            if isinstance(request, Request) and request.id == call_id:
                return request
        return None


def tell(control: Cancel | Credit, addressee: Addressee) -> None:
    """Pass on what was said about a call."""
    if isinstance(control, Cancel):
        addressee.cancel()
    else:
        addressee.grant(control.items)


def _ignore(control: Cancel | Credit) -> None:
    """There is no call that could obey."""

"""A scripted child's stdin: bytes in, requests and what is said about them out."""

from __future__ import annotations

import json
from collections.abc import Callable

from bridge.frames import FrameDecoder
from pool.testing.pipes import Pipe
from pool.testing.script import Control, Request


class Inbox:
    """Reads what comes while it listens; what comes otherwise stays in the pipe."""

    def __init__(
        self,
        pipe: Pipe,
        on_request: Callable[[Request], None],
        on_control: Callable[[Control], None],
        on_end: Callable[[], None],
    ) -> None:
        self._pipe = pipe
        self._on_request = on_request
        self._on_control = on_control
        self._on_end = on_end
        self._decoder = FrameDecoder()
        self._is_listening = False
        self._is_at_end = False

    def listen(self, listens: bool) -> None:
        """Begin to listen, or leave off."""
        self._is_listening = listens
        self._pipe.readable.ignore()
        if listens and not self._is_at_end:
            self._pipe.readable.watch(self._read)
            self._deliver()

    def _read(self) -> None:
        data = self._pipe.read()
        if data:
            self._decoder.feed(data)
            self._deliver()
        else:
            self._is_at_end = True
            self._pipe.readable.ignore()
            self._on_end()

    def _deliver(self) -> None:
        # Whoever gets a request may make it leave off in the middle.
        while self._is_listening and (payload := self._decoder.next()) is not None:
            said = _read(payload)
            if isinstance(said, Request):
                self._on_request(said)
            else:
                self._on_control(said)


def _read(payload: bytes) -> Request | Control:
    members = json.loads(payload)
    command, args = members.pop("command"), members.pop("args", None) or {}
    if command.startswith("$"):
        return Control(command, **args)
    return Request(members.pop("id"), command, args, members)

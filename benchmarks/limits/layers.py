"""Parts of bridgepool behind bare loops: what each of them adds to a call."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import msgspec

from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from bridge.messages import Reply
from bridge.messages.secrets import Secrets
from pool.clock import Clock
from pool.exchange.calls import prepare
from pool.exchange.conversation import Conversation
from pool.exchange.ends import PipeEnds
from pool.exchange.inflight import Call
from pool.exchange.link import PipeLink
from pool.exchange.results import result_of
from pool.launch.descriptors import open_pipe


class _Bridge:
    """A bridge of ours, spawned; `read_fd` and `write_fd` are our ends of its pipes."""

    def __init__(self) -> None:
        self.read_fd, its_stdout = open_pipe()
        its_stdin, self.write_fd = open_pipe()
        command = [sys.executable, "-m", "bridge", "bridge.echo", "--mode", "pool-worker"]
        self._process = subprocess.Popen(command, stdin=its_stdin, stdout=its_stdout)
        os.close(its_stdin)
        os.close(its_stdout)

    def wait(self) -> None:
        """Wait for its end, which comes once its stdin is closed."""
        self._process.wait()


class OurBridge:
    """The bare loop of `add_reader`, with a bridge of ours at the other end."""

    backend = "asyncio"

    async def start(self, size: int, job: str) -> None:
        self._bridge = _Bridge()
        os.set_blocking(self._bridge.read_fd, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._bridge.read_fd, self._read)
        self._data = bytearray()
        self._next_id = 0

    async def alone(self, value: Any) -> Any:
        self._next_id += 1
        request = {"id": self._next_id, "command": "echo", "args": value}
        payload = msgspec.json.encode(request)
        self._reply: asyncio.Future[Any] = self._loop.create_future()
        os.write(self._bridge.write_fd, len(payload).to_bytes(4) + payload)
        return (await self._reply)["result"]

    call = alone

    def _read(self) -> None:
        data = self._data
        data += os.read(self._bridge.read_fd, 65536)
        end = 4 + int.from_bytes(data[:4])
        if len(data) >= end:
            reply = msgspec.json.decode(data[4:end])
            del data[:end]
            self._reply.set_result(reply)

    async def close(self) -> None:
        self._loop.remove_reader(self._bridge.read_fd)
        os.close(self._bridge.read_fd)
        os.close(self._bridge.write_fd)
        self._bridge.wait()


class OurConversation:
    """The pool's link and conversation with a bridge, and nobody who supervises or counts."""

    backend = "asyncio"

    async def start(self, size: int, job: str) -> None:
        self._bridge = _Bridge()
        self._secrets = Secrets()
        self._link = PipeLink(
            PipeEnds(self._bridge.read_fd, self._bridge.write_fd),
            DEFAULT_MAX_FRAME_BYTES,
            self._secrets,
        )
        self._talk = Conversation(
            self._link, DEFAULT_MAX_FRAME_BYTES, self._secrets, Clock(), _Nobody()
        )
        self._link.start(self._talk.receive, _Nobody.nonsense, _Nobody.nonsense)

    async def alone(self, value: Any) -> Any:
        prepared = prepare("echo", value, None, DEFAULT_MAX_FRAME_BYTES)
        return result_of(await self._talk.send(prepared), "echo", Any, self._secrets)

    call = alone

    async def close(self) -> None:
        self._link.close()
        self._bridge.wait()


class _Nobody:
    """A partner that keeps no book."""

    def answered(self, call: Call, reply: Reply) -> None: ...

    def given_up(self, call: Call) -> None: ...

    def overdue(self, call: Call) -> None: ...

    def flooded(self, call: Call) -> None: ...

    def stray(self) -> None: ...

    @staticmethod
    def nonsense(what: str) -> None: ...

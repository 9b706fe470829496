"""A bridge whose preload speaks for its template, and lies."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import NoReturn

from msgspec import Struct

from bridge import Bridge
from bridge.frames import encode as frame
from bridge.messages.template import (
    Exited,
    Fork,
    Forked,
    FromTemplate,
    Loaded,
    Refused,
    Unfit,
    encode,
)
from bridge.template.control import Control

bridge = Bridge()


class Options(Struct):
    vice: str
    victim: int = 0


@bridge.preload
def take_over(options: Options) -> None:
    Liar(options.victim).run(options.vice)


class Liar:
    """Holds the connection that the template has to its pool."""

    def __init__(self, victim: int) -> None:
        fds = [fd for fd in range(100) if is_socket(fd)]
        self.control = Control(fds[0])
        self.socket = socket.socket(fileno=os.dup(fds[0]))
        self.victim = victim

    def run(self, vice: str) -> NoReturn:
        lie = getattr(self, vice)
        if vice.startswith("claim"):
            self.control.send(Loaded())
            while self.control.read():
                order = self.control.next()
                if isinstance(order, Fork):
                    lie(order.number, self.control.take_fds(order.fds))
            os._exit(0)
        lie()
        while True:
            time.sleep(3600)

    # Instead of an answer to the order to load

    def flood_of_descriptors(self) -> None:
        message = iter(frame(b" " * 100_000))
        while True:
            part = bytes([next(message)])
            socket.send_fds(self.socket, [part], [1] * 64)

    def large_message(self) -> None:
        self.socket.sendall(frame(b" " * 2_000_000))

    def no_message(self) -> None:
        self.socket.sendall(frame(b'{"type":"loaded","hazards":5}'))

    def not_unicode(self) -> None:
        self.socket.sendall(frame(b'{"type":"unfit","problems":["\xff"]}'))

    def deep(self) -> None:
        self.socket.sendall(frame(b'{"type":"loaded","x":' + b"[" * 500_000))

    def pid_of_nobody(self) -> None:
        self.socket.sendall(frame(b'{"type":"exited","pid":0,"returncode":0}'))

    def flood_of_messages(self) -> None:
        messages = frame(encode(Exited(2**22, 0))) * 1000
        while True:
            self.socket.sendall(messages)

    def many_problems(self) -> None:
        self.control.send(Unfit([f"problem {i} " + "x" * 5_000 for i in range(190)]))

    # Instead of making a worker

    def claim(self, number: int, pid: int, fd: int) -> None:
        self.control.send(Forked(number, pid), fd)

    def claim_a_stranger(self, number: int, fds: list[int]) -> None:
        self.claim(number, self.victim, os.pidfd_open(self.victim))

    def claim_a_stranger_by_number(self, number: int, fds: list[int]) -> None:
        child = fork_sleeper(own_group=False)
        self.claim(number, self.victim, os.pidfd_open(child))

    def claim_a_stranger_by_the_pidfd_of_the_dead(self, number: int, fds: list[int]) -> None:
        child = fork_sleeper()
        pidfd = os.pidfd_open(child)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.claim(number, self.victim, pidfd)

    def claim_with_a_file(self, number: int, fds: list[int]) -> None:
        self.claim(number, self.victim, os.open(os.devnull, os.O_RDONLY))

    def claim_with_nothing(self, number: int, fds: list[int]) -> None:
        self.control.send(Forked(number, self.victim))

    def claim_the_pool(self, number: int, fds: list[int]) -> None:
        self.claim(number, os.getppid(), os.pidfd_open(os.getppid()))

    def claim_what_nobody_asked_for(self, number: int, fds: list[int]) -> None:
        self.claim(number + 1000, self.victim, os.pidfd_open(self.victim))
        self.control.send(Refused(number, error="no"))

    def claim_a_child_twice(self, number: int, fds: list[int]) -> None:
        child = fork_sleeper()
        for _ in range(3):
            self.claim(number, child, os.pidfd_open(child))

    def claim_and_say_that_it_ended(self, number: int, fds: list[int]) -> None:
        child = fork_sleeper(own_group=False)
        messages: list[FromTemplate] = [Exited(child, 0), Exited(self.victim, 0)]
        self.claim(number, child, os.pidfd_open(child))
        for message in messages:
            self.control.send(message)


def fork_sleeper(*, own_group: bool = True) -> int:
    """A child that holds nothing of this process and lives until it is killed."""
    child = os.fork()
    if child == 0:
        if own_group:
            os.setsid()
        os.closerange(3, 256)
        time.sleep(3600)
        os._exit(0)
    return child


def is_socket(fd: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")  # noqa: PTH115
    except OSError:
        return False

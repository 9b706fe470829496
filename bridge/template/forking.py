"""The fork, and what makes the child a process of its own."""

from __future__ import annotations

import atexit
import gc
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from bridge.ending import drop_unwritable_output
from bridge.lifeline import hold_in_new_session


@dataclass(frozen=True, slots=True)
class Place:
    """What a forked worker is given: its name and the descriptors it owns from then on."""

    worker: str
    requests: int
    replies: int
    stderr: int
    lifeline: int
    memory: tuple[int, ...] = ()

    @property
    def fds(self) -> tuple[int, ...]:
        return (self.requests, self.replies, self.stderr, self.lifeline, *self.memory)


def place_of(worker: str, fds: Sequence[int]) -> Place:
    """What a worker is given; its memory, if there is any, comes last."""
    requests, replies, stderr, lifeline, *memory = fds
    return Place(worker, requests, replies, stderr, lifeline, tuple(memory))


def settle(place: Place) -> None:
    """Become independent of the template, in the child, before any code of the user runs."""
    hold_in_new_session(place.lifeline)
    os.dup2(place.stderr, 1)
    os.dup2(place.stderr, 2)
    os.close(place.stderr)
    show_name(place.worker)
    reseed()
    gc.enable()


def show_name(name: str) -> None:
    """Have `ps` and `top` show the end of a name, which the kernel cuts to 15 characters."""
    fd = os.open("/proc/self/comm", os.O_WRONLY)
    os.write(fd, name[-15:].encode())
    os.close(fd)


def reseed() -> None:
    """Give this process random numbers of its own.

    `random` sees to itself when a process forks, `secrets` and `uuid4` ask the
    kernel; the others that are loaded would all repeat the template's.
    """
    seed = random.SystemRandom().getrandbits(32)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def leave(run: Callable[[], int]) -> NoReturn:
    """Run, then end this process without taking the interpreter down.

    That would touch, and so copy, nearly every page shared with the template.
    Threads are waited for, exit handlers run and output is flushed all the same.
    """
    status = 1
    try:
        status = run()
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    drop_unwritable_output()
    os._exit(status)

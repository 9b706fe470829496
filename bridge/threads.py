"""Threads for plain commands, made as they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Runs jobs, each at once: on a thread that is idle, or on a new one.

    All methods are called on one thread, which is told of the end of each job
    and says so by `done`. A job raises nothing.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._count = 0
        self._busy = 0

    def run(self, job: Callable[[], None]) -> None:
        """Run a job; raise `RuntimeError`, and do not run it, if there can be no more threads."""
        if self._busy == self._count:
            name = f"bridge-call-{self._count + 1}"
            threading.Thread(target=_work, args=(self._jobs,), name=name).start()
            self._count += 1
        self._busy += 1
        self._jobs.put(job)

    def done(self) -> None:
        """A job has ended."""
        self._busy -= 1

    def close(self) -> None:
        """Have each thread end when it is idle."""
        for _ in range(self._count):
            self._jobs.put(None)


def _work(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # or what it holds would live until the next one

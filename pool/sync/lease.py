"""A lease for synchronous code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from pool.lease import Lease
from pool.sync.loop_thread import LoopThread
from pool.sync.results import SyncItems
from pool.timeouts import UNSET, Timeout


class SyncLease:
    """A lease for synchronous code: see `Lease`."""

    def __init__(self, lease: Lease, loop: LoopThread) -> None:
        self._lease = lease
        self._loop = loop

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._lease.name

    @property
    def pid(self) -> int | None:
        """The worker's process."""
        return self._lease.pid

    def call(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Any:
        """Run a command and return its result: see `Lease.call`."""
        return self._loop.call(
            partial(
                self._lease.call,
                command,
                args,
                timeout=timeout,
                result_type=result_type,
                session=session,
            )
        )

    @contextmanager
    def stream(
        self,
        command: str,
        args: object = None,
        *,
        timeout: Timeout = UNSET,
        result_type: Any = Any,
        session: str | None = None,
    ) -> Iterator[SyncItems]:
        """Run a command whose result comes item by item: see `Lease.stream`."""
        stream = self._lease.stream(
            command, args, timeout=timeout, result_type=result_type, session=session
        )
        with self._loop.inside(stream) as items:
            yield SyncItems(items, self._loop)

"""How far a pool is on its way to being closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Shutdown:
    """Begun, then all work done, then all workers gone; each happens once.

    `is_idle` tells whether no lease is out and nobody waits. A call that lost
    its worker and is to be made again counts as work meanwhile.
    """

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self._is_idle = is_idle
        self._loop = asyncio.get_running_loop()
        self._retrying = 0
        self.has_begun = False
        self.queue_is_shut = False
        self.is_hurried = False
        self.work_done = asyncio.Event()
        self.all_gone = asyncio.Event()

    def begin(self) -> None:
        """No new work from here on; what there is, is finished."""
        self.has_begun = True
        self.look()

    def shut_queue(self) -> None:
        """Nobody may wait any longer."""
        self.queue_is_shut = True

    def hurry(self) -> None:
        """What runs is not waited for."""
        self.is_hurried = True
        self.work_done.set()

    def look(self) -> None:
        """Something has ended: see whether all work is done, after the callers had their turn.

        Whoever lost a call in this very step may be about to make it again.
        """
        if self.has_begun:
            self._loop.call_soon(self._end_if_idle)

    async def pause_before_retry(self, seconds: float) -> None:
        """Wait before a lost call is made again."""
        self._retrying += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._retrying -= 1
            self.look()

    def _end_if_idle(self) -> None:
        if not self._retrying and self._is_idle():
            self.work_done.set()

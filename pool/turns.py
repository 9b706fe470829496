"""Who may use a lease next, where several tasks share one."""

from __future__ import annotations

import asyncio
from collections import deque

from pool.clock import Clock
from pool.errors import CallTimeout
from pool.timeouts import Deadline


class Turns:
    """Lets calls through one at a time, in their order; made when one has begun already."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_taken = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, deadline: Deadline, command: str) -> None:
        """Wait for the turn, no longer than the deadline; `release` ends it."""
        if not self._is_taken:
            self._is_taken = True
        elif not await self._comes_by(deadline):
            text = f"{command!r} was not sent: an earlier call on the same lease still runs"
            raise CallTimeout(text, request_sent=False)

    async def _comes_by(self, deadline: Deadline) -> bool:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        has_come = False
        try:
            with self._clock.move_on_at(deadline.at):
                await turn
                has_come = True
        finally:
            if not has_come:
                self._leave(turn)
        return has_come

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Stop waiting; a turn that came in the same moment is the next one's."""
        if not turn.cancelled():
            self.release()

    def release(self) -> None:
        """The turn goes to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited is about to leave
                turn.set_result(None)
                return
        self._is_taken = False

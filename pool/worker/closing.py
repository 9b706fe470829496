"""The end of a child: asked, told, signalled, killed, each step bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pool.clock import move_on_after
from pool.launch import Launched, Process

EXIT_WAIT = 0.25
"""Seconds a worker that closed its pipe has to end by itself, so that its own status shows."""

REAP_WAIT = 5.0
"""Seconds to wait for a process after SIGKILL; only one stuck in the kernel takes as long."""


async def close_politely(launched: Launched, ask: Callable[[], object], grace: float) -> None:
    """`ask` it, close its stdin, send SIGTERM, and wait `grace` seconds after each.

    It may still be there afterwards.
    """
    for step in (ask, launched.link.close_write, launched.process.terminate):
        step()
        if await _exits_within(launched.process, grace):
            return


async def exits_by_itself(launched: Launched) -> bool:
    """Whether one that closed its pipe exits; its status then tells why."""
    return await _exits_within(launched.process, EXIT_WAIT)


async def bury(launched: Launched) -> None:
    """Kill what is left of it, reap it, close its descriptors."""
    launched.process.kill()
    await _exits_within(launched.process, REAP_WAIT)
    launched.link.close()
    launched.stderr.close()
    if launched.memory is not None:
        launched.memory.close()


async def _exits_within(process: Process, seconds: float) -> bool:
    if not process.exited.done():
        with move_on_after(seconds):
            await asyncio.wait([process.exited])
    return process.exited.done()

"""One call on a lent slot: sent, waited for, counted by its outcome."""

from __future__ import annotations

import asyncio

from bridge.messages import Reply
from pool.calls import Prepared
from pool.conversation import Call
from pool.errors import CallTimeout, PoolError, ProtocolError, WorkerError
from pool.slots import Slot
from pool.supervisor import Supervisor
from pool.timeouts import Deadline
from pool.worker import Worker


def send(slot: Slot[Worker], prepared: Prepared, deadline: Deadline) -> Call:
    """Send a call, unless its deadline has passed or its worker is gone meanwhile.

    Raises `CallTimeout`, `BrokenWorkerError` or `RequestError`, with nothing sent.
    """
    if deadline.has_passed(asyncio.get_running_loop().time()):
        raise CallTimeout(f"{prepared.command!r} was not sent: its deadline has passed")
    if not slot.worker.is_ready:
        raise slot.worker.lost_before(prepared.command)
    return slot.worker.send(slot, prepared)


async def finish(
    supervisor: Supervisor, slot: Slot[Worker], call: Call, deadline: Deadline
) -> Reply:
    """Wait for the reply of a call that was sent."""
    outcome = "cancelled"
    try:
        reply = await slot.worker.finish(call, deadline)
        outcome = "ok" if reply.success else "error"
        return reply
    except PoolError as error:
        outcome = _outcome(error)
        raise
    finally:
        supervisor.counters.calls[outcome] += 1


async def run_once(
    supervisor: Supervisor, slot: Slot[Worker], prepared: Prepared, deadline: Deadline
) -> Reply:
    """Spend a lent slot on one call.

    The slot goes back at the end, unless the call was given up: then it
    belongs to its worker, and soon perhaps to somebody else.
    """
    call = None
    try:
        call = send(slot, prepared, deadline)
        return await finish(supervisor, slot, call, deadline)
    finally:
        if call is None or not call.given_up:
            supervisor.desk.give_back(slot)


def _outcome(error: PoolError) -> str:
    if isinstance(error, CallTimeout):
        return "timeout"
    if isinstance(error, ProtocolError):
        return "protocol"
    return "worker_lost" if isinstance(error, WorkerError) else "cancelled"

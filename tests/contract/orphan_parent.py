"""An application that is going to be killed: `python -m tests.contract.orphan_parent CASE METHOD`.

It prints a line when it has reached the phase of its case, and then waits.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pool import WorkerPool
from tests.contract.pools import until
from tests.processes import children, state

VICIOUS = [sys.executable, str(Path(__file__).parent / "foreign_vicious.py")]
FAULTY: dict[str, dict[str, Any]] = {
    "starting": {"never_ready": True},
    "ignoring": {"ignore_end_of_file": True, "ignore_sigterm": True},
}


class Heard(logging.Handler):
    """Sets an event when a child says `text` on stderr."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.event = asyncio.Event()
        logger = logging.getLogger("bridgepool.stderr")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.event.set()


def make_pool(case: str, method: Any) -> WorkerPool:
    if case.startswith("foreign"):
        return WorkerPool(argv=VICIOUS, size=3)
    if case == "stopped at birth":
        return WorkerPool("tests.contract.stopped_at_birth", size=2, start_method=method)
    if case == "importing":
        return WorkerPool("tests.contract.slow_import", size=3, start_method=method)
    return WorkerPool("bridge.faulty", size=3, options=FAULTY.get(case), start_method=method)


async def reach_while_starting(case: str, pool: WorkerPool) -> None:
    importing = Heard("importing")
    asyncio.ensure_future(pool.wait_ready())  # noqa: RUF006
    if case == "importing":
        await importing.event.wait()
    elif case == "stopped at birth":
        await until(pool, lambda stats: any(state(w.pid) == "T" for w in stats.workers if w.pid))
    elif case != "validating":
        await until(pool, lambda stats: sum(bool(w.pid) for w in stats.workers) == 2)


async def reach(case: str, pool: WorkerPool) -> None:
    await pool.wait_ready()
    commands = {"running": "sleep", "foreign running": "late", "holding the GIL": "hold_gil"}
    if case in commands:
        for _ in range(3):
            asyncio.ensure_future(pool.call(commands[case], {"seconds": 600}))  # noqa: RUF006
        await until(pool, lambda stats: stats.inflight_calls == 3)
    if case == "forked":
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    signals = {"template killed": signal.SIGKILL, "template stopped": signal.SIGSTOP}
    if case in signals:
        (template,) = children()
        os.kill(template, signals[case])
    if case == "stopped":
        for worker in pool.stats().workers:
            os.kill(worker.pid or 0, signal.SIGSTOP)


async def main(case: str, method: str) -> None:
    pool = make_pool(case, method)
    await pool.open()
    if case in ("validating", "importing", "starting", "foreign starting", "stopped at birth"):
        await reach_while_starting(case, pool)
    else:
        await reach(case, pool)
    pids = [str(worker.pid) for worker in pool.stats().workers if worker.pid]
    print("reached", *pids, flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""The inside of a sample's process."""

from __future__ import annotations

import importlib
import json
import os

import anyio

from benchmarks.pools import make


def main(benchmark: str, contender_name: str, settings: str, fd: str) -> None:
    measure = importlib.import_module(f"benchmarks.{benchmark}").measure
    contender = make(contender_name)

    async def take() -> None:
        try:
            answer = await measure(contender, **json.loads(settings))
        except Exception as error:
            answer = {"failed": describe(error)}
        os.write(int(fd), json.dumps(answer).encode() + b"\n")
        await contender.close()

    if contender.backend == "uvloop":
        anyio.run(take, backend="asyncio", backend_options={"use_uvloop": True})
    else:
        anyio.run(take, backend=contender.backend)


def describe(error: BaseException) -> str:
    """One line, of the first where there is a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"

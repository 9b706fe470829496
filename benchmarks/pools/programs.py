"""bridgepool with a DSPy program, so many executions at a time on each worker."""

from __future__ import annotations

from typing import Any

from benchmarks.provider import Provider
from pool import WorkerPool

LATENCY = 0.1
"""Seconds that the LM takes."""

ENV = {
    # Neither dspy nor litellm fetches a price list.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "127.0.0.1",
    # A gateway in the environment would make dspy take litellm for every model.
    "OPENAI_API_BASE": "",
    "OPENAI_BASE_URL": "",
}


class Programs:
    """A pool whose workers run `question -> answer` against an LM on loopback."""

    backend = "asyncio"

    def __init__(self, model: str, concurrency: int) -> None:
        self.concurrency = concurrency
        self.provider = Provider(LATENCY)
        self._model = model

    async def start(self, size: int, job: str) -> None:
        await self.provider.start()
        lm = {"model": self._model, "api_base": self.provider.api_base, "api_key": "none"}
        self._pool = WorkerPool(
            "bridge.dspy_bridge",
            size=size,
            concurrency=self.concurrency,
            options={"lm": {**lm, "cache": False, "num_retries": 0}},
            env=ENV,
        )
        await self._pool.open()
        await self._pool.wait_ready(size)
        await self._pool.call("create_program", {"id": "qa", "signature": "question -> answer"})

    @property
    def workers(self) -> list[int]:
        """The ids of their processes."""
        return [worker.pid for worker in self._pool.stats().workers if worker.pid is not None]

    async def call(self, value: Any) -> Any:
        asked = {"program_id": "qa", "inputs": {"question": value}}
        return (await self._pool.call("execute_program", asked))["outputs"]["answer"]

    alone = call

    async def close(self) -> None:
        await self._pool.aclose()
        await self.provider.close()

"""How the map command waits, and what it does with results that are there when it is ended."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Raw

from pool.cli.map.command import make_pool
from pool.cli.map.dataset import Dataset
from pool.cli.map.done import Done
from pool.cli.map.output import Output
from pool.cli.map.run import Job, write_results
from pool.dataset.results import Results


class Interrupted:
    """Results of a map that is cancelled when one was taken and one more is there."""

    def __init__(self) -> None:
        self._runs: list[list[tuple[int, list[Any]]]] = [[(1, [Raw(b"11")])], [(0, [Raw(b"10")])]]

    async def take(self) -> list[tuple[int, list[Any]]]:
        if len(self._runs) == 1:
            raise asyncio.CancelledError
        return self.take_ready()

    def take_ready(self) -> list[tuple[int, list[Any]]]:
        return self._runs.pop(0)


async def test_results_that_are_there_are_written_before_the_end(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.write_bytes(b"{}\n{}\n{}\n")
    dataset = Dataset(io.BytesIO(inputs.read_bytes()), Done())
    assert len(list(dataset)) == 3
    with inputs.open("rb") as source, Output(tmp_path / "out", source) as out:
        job = Job("echo", dataset, out, 1, {})
        with pytest.raises(asyncio.CancelledError):
            await write_results(cast(Results, Interrupted()), job)
    assert (tmp_path / "out").read_bytes() == (
        b'{"index":1,"result":11}\n{"index":0,"result":10}\n'
    )


def test_a_dataset_waits_for_its_workers_as_long_as_a_call_may_take() -> None:
    settings = {"overflow": 0, "concurrency": 1, "start_method": "spawn", "options": None}
    assert make_pool("bridge.echo", {"size": None, **settings})._config.checkout_timeout is None

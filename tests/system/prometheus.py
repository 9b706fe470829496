"""A Prometheus of its own, scraping one pool."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.system.conftest import program

CONFIG = """
global:
  scrape_interval: 200ms
  evaluation_interval: 200ms
rule_files: ["{rules}"]
scrape_configs:
  - job_name: bridgepool
    static_configs:
      - targets: ["{target}"]
"""
RULES = Path(__file__).parents[2] / "telemetry/alerts.yml"


class Prometheus:
    """Asks a server by its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str, **query: str) -> Any:
        """What is under `data`."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        return (await asyncio.to_thread(_read, url))["data"]

    async def value(self, query: str) -> float | None:
        """The value of a query that has one result; None if it has none."""
        results = (await self.get("query", query=query))["result"]
        return float(results[0]["value"][1]) if results else None

    async def becomes(self, query: str, wanted: float) -> None:
        """Wait until it has been scraped; the test's time limit bounds it."""
        while await self.value(query) != wanted:  # noqa: ASYNC110 - it tells no event
            await asyncio.sleep(0.05)


def _read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


@asynccontextmanager
async def scraping(target: str, folder: Path) -> AsyncIterator[Prometheus]:
    """Have `target`, host and port, scraped five times a second while the block runs."""
    config, port = folder / "prometheus.yml", await _free_port()
    config.write_text(CONFIG.format(rules=RULES, target=target))
    address = f"127.0.0.1:{port}"
    arguments = {
        "config.file": config,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": address,
        "log.level": "error",
    }
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), *(f"--{name}={value}" for name, value in arguments.items())
    )
    try:
        await _until_ready(f"http://{address}/-/ready", process)
        prometheus = Prometheus(f"http://{address}")
        await prometheus.becomes("up", 1)  # the first scrape comes some seconds later
        yield prometheus
    finally:
        process.kill()
        await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    while True:
        assert process.returncode is None, "Prometheus has ended"
        try:
            await asyncio.to_thread(urllib.request.urlopen, url, None, 1)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return


async def _free_port() -> int:
    """Prometheus does not tell which port it took, so that it cannot be left to it."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port

"""Asks a telemetry server, and reads metrics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pool.telemetry.http import TelemetryServer
from pool.telemetry.prometheus import PoolCollector


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: str


async def ask(server: TelemetryServer, path: str, method: str = "GET", **headers: str) -> Response:
    head = "".join(f"{name}: {value}\r\n" for name, value in {"host": "h", **headers}.items())
    return await say(server, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())


async def say(server: TelemetryServer, request: bytes) -> Response:
    """Send some bytes, and read the answer to its end."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request)
    try:
        return response(await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


def response(received: bytes) -> Response:
    head, _, body = received.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Response(int(first.split()[1]), headers, body)


def collected(collector: PoolCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and its labels but the pool's."""
    return {
        (sample.name, frozenset(sample.labels.items() - {("pool", sample.labels["pool"])})): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: Any) -> float | None:
    return values(text).get((f"workerpool_{name}", frozenset(labels.items())))

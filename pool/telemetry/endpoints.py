"""What a pool answers to those who ask for its health and its figures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pool.errors import PoolClosed
from pool.telemetry.prometheus import Observed, PoolCollector

PLAIN = "text/plain; charset=utf-8"


class Asked(Observed, Protocol):
    """What is asked of a pool here."""

    def why_not_ready(self) -> str | None: ...


class Answer(msgspec.Struct, frozen=True):
    """The status, the type and the content of a response."""

    status: int
    content_type: str
    body: bytes

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The head of the response; what is there at one moment is of no use later."""
        headers = [
            (b"content-type", self.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
            (b"cache-control", b"no-store"),
        ]
        return headers + ([(b"allow", b"GET, HEAD")] if self.status == 405 else [])


def plain(status: int, text: str) -> Answer:
    return Answer(status, PLAIN, f"{text}\n".encode())


class Endpoints:
    """`/metrics`, `/livez`, `/readyz` and `/stats` of one pool, from when it is made until `close`.

    On the pool's event loop, once that runs.
    """

    def __init__(self, pool: Asked, commands: int | Collection[str]) -> None:
        self._pool = pool
        self._collector = PoolCollector(pool, commands=commands)
        self._registry = CollectorRegistry()
        self._registry.register(self._collector)
        self._pages: dict[str, Callable[[str], Answer]] = {
            "/metrics": self._metrics,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/stats": self._stats,
        }

    def close(self) -> None:
        """Listen to the pool no more."""
        self._collector.detach()

    def answer(self, method: str, path: str, accept: str) -> Answer:
        """The answer to a request that accepts these types of content; never raises."""
        if method not in ("GET", "HEAD"):
            return plain(405, "only GET and HEAD")
        page = self._pages.get(path)
        if page is None:
            return plain(404, f"there are {', '.join(self._pages)}")
        return page(accept)

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(200, content_type, encode(self._registry))

    def _livez(self, _: str) -> Answer:
        """That it is answered shows that the event loop turns."""
        return plain(200, "ok")

    def _readyz(self, _: str) -> Answer:
        why = self._pool.why_not_ready()
        return plain(200, "ready") if why is None else plain(503, why)

    def _stats(self, _: str) -> Answer:
        try:
            stats = self._pool.stats()
        except PoolClosed as error:
            return plain(503, str(error))
        return Answer(200, "application/json", msgspec.json.encode(stats))

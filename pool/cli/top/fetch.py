"""Readings of a pool in another process, from its telemetry endpoint."""

from __future__ import annotations

import re
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic
from urllib.parse import SplitResult, urlsplit

import msgspec

from pool.cli.top.exposition import metrics_of
from pool.cli.top.reading import Metrics, Reading
from pool.stats import PoolStats

TIMEOUT = 3.0
"""Seconds for a request: to connect, for each part of the answer, and for all of its body."""

LARGEST = 8_000_000
"""Bytes of an answer that are read. Metrics of 50 commands take about 1 MB."""

MANY_DIGITS = re.compile(rb"[:,\[]\s*-?\d{19}")

_PORTS = {"http": HTTPConnection, "https": HTTPSConnection}


class Unreadable(Exception):
    """There is no reading; the text says why."""


class Endpoint:
    """The telemetry endpoint of a pool, by HOST:PORT or URL.

    A path in the URL is put before /stats and /metrics. Raises `ValueError` for what
    is no such address.
    """

    def __init__(self, address: str) -> None:
        self._url = _url_of(address)

    def __str__(self) -> str:
        return self._url.netloc + self._url.path.rstrip("/")

    def read(self) -> Reading:
        """Ask for everything; raises `Unreadable`.

        Without /metrics there is a reading too, which says so.
        """
        stats = self._stats()
        try:
            metrics, lacking = self._metrics(stats.name), None
        except Unreadable as error:
            metrics, lacking = Metrics(), str(error)
        return Reading(monotonic(), stats, metrics, lacking)

    def _stats(self) -> PoolStats:
        body = self._get("/stats")
        try:
            # JSON has integers of any size, which cannot be divided.
            if MANY_DIGITS.search(body):
                raise ValueError("a number is too large")
            return msgspec.json.decode(body, type=PoolStats)
        except ValueError as error:
            raise Unreadable(f"/stats has no picture of a pool: {error}") from error

    def _metrics(self, pool: str) -> Metrics:
        body = self._get("/metrics")
        try:
            return metrics_of(body.decode(), pool)
        except ValueError as error:
            raise Unreadable(f"/metrics cannot be read: {error}") from error

    def _get(self, path: str) -> bytes:
        url = self._url
        connection = _PORTS[url.scheme](url.hostname or "", url.port, timeout=TIMEOUT)
        # As a request of the Prometheus text format: else OpenMetrics could be the answer.
        headers = {"Accept": "application/json, text/plain", "Connection": "close"}
        try:
            connection.request("GET", url.path.rstrip("/") + path, headers=headers)
            with connection.getresponse() as response:
                if response.status != 200:
                    raise Unreadable(f"{path} was answered with status {response.status}")
                return _body(response, path)
        except OSError as error:
            raise Unreadable(error.strerror or str(error) or type(error).__name__) from error
        except (HTTPException, ValueError) as error:
            raise Unreadable(f"{path} was not answered in HTTP: {error!r}") from error
        finally:
            connection.close()


def _body(response: HTTPResponse, path: str) -> bytes:
    """All of it, unless that is too much or takes too long."""
    deadline, body = monotonic() + TIMEOUT, bytearray()
    while part := response.read1(65_536):
        body += part
        if len(body) > LARGEST:
            raise Unreadable(f"{path} is larger than {LARGEST / 1e6:.0f} MB")
        if monotonic() > deadline:
            raise Unreadable(f"{path} took longer than {TIMEOUT:g} s")
    return bytes(body)


def _url_of(address: str) -> SplitResult:
    url = urlsplit(address if "://" in address else f"//{address}", scheme="http")
    if url.scheme not in _PORTS:
        raise ValueError(f"{url.scheme}: only http and https are possible")
    if not url.hostname:
        raise ValueError("the host is missing: HOST:PORT, such as 127.0.0.1:9187")
    if url.port is None and "://" not in address:
        raise ValueError("the port is missing: HOST:PORT, such as 127.0.0.1:9187")
    if url.username or url.query or url.fragment:
        raise ValueError("a user, a query and a fragment are not possible in it")
    return url

"""How requests are encoded and replies decoded, which a profile may time."""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter
from typing import Any

from bridge.messages import Reply
from bridge.messages.secrets import Secrets
from pool.exchange.calls import Prepared, prepare
from pool.exchange.results import result_of
from pool.telemetry.tracing import Traced


class Times:
    """Seconds spent on each call's encoding and decoding, by command, until they are taken."""

    def __init__(self) -> None:
        self.encode: defaultdict[str, list[float]] = defaultdict(list)
        self.decode: defaultdict[str, list[float]] = defaultdict(list)


class Codec:
    """`prepare` and `result_of` of one pool's calls; each is the plain function unless timed.

    So a call pays for two attributes, and nothing else, while nobody profiles.
    """

    def __init__(self) -> None:
        self._timed: list[Times] = []
        self._choose()

    def time(self, times: Times) -> None:
        """Add what each call takes to `times` from now on."""
        self._timed.append(times)
        self._choose()

    def leave(self, times: Times) -> None:
        self._timed.remove(times)
        self._choose()

    def _choose(self) -> None:
        self.prepare, self.result_of = prepare, result_of
        for times in self._timed:
            self._wrap(times)

    def _wrap(self, times: Times) -> None:
        prepare, result_of = self.prepare, self.result_of
        encode, decode = times.encode, times.decode

        def timed_prepare(
            command: str,
            args: object,
            session: str | None,
            max_frame_bytes: int,
            traced: Traced | None = None,
        ) -> Prepared:
            began = perf_counter()
            prepared = prepare(command, args, session, max_frame_bytes, traced)
            encode[command].append(perf_counter() - began)
            return prepared

        def timed_result(reply: Reply, command: str, result_type: Any, secrets: Secrets) -> Any:
            began = perf_counter()
            try:
                return result_of(reply, command, result_type, secrets)
            finally:
                decode[command].append(perf_counter() - began)

        self.prepare, self.result_of = timed_prepare, timed_result

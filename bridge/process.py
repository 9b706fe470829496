"""The life of a bridge process between its descriptors and its exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from time import monotonic

from bridge.ending import StopSignal, drop_unwritable_output, watch_for_end_of_file
from bridge.registry import Bridge
from bridge.serve import Identity, Server
from bridge.wire import Wire


def catch_signals() -> StopSignal:
    """Ctrl-C is the parent's business; SIGTERM ends the process after what it was sent."""
    stop = StopSignal()
    stop.install()
    return stop


def send_logs_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def serve_bridge(
    load: Callable[[], Bridge], wire: Wire, stop: StopSignal, identity: Identity
) -> int:
    """Serve what `load` returns until the end; return the exit status.

    How long it takes to load is told in the answer to the handshake.
    """
    # Before user code is imported: an import may take long, and the pool may die meanwhile.
    watch_for_end_of_file(wire.read_fd)
    began = monotonic()
    bridge = load()
    status = Server(bridge, wire, stop, identity, monotonic() - began).run()
    drop_unwritable_output()
    return status

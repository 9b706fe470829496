"""A bridge whose import starts a thread: in a module of its own, as libraries do."""

from __future__ import annotations

import tests.contract.threaded_library  # noqa: F401
from bridge import Bridge
from bridge.echo import echo, pid

bridge = Bridge()
bridge.command(echo)
bridge.command(pid)

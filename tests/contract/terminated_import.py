"""A bridge that gets SIGTERM while it is imported."""

from __future__ import annotations

import signal

from bridge.echo import bridge

__all__ = ["bridge"]

signal.raise_signal(signal.SIGTERM)

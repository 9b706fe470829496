"""A phase whose name is no text that JSON could say."""

from __future__ import annotations

from bridge import Bridge, phase

bridge = Bridge()


@bridge.command
def odd() -> str:
    with phase("\udc80"):
        return "done"

"""The child side: a model behind commands, driven over a pair of pipes.

::

    from bridge import Bridge

    bridge = Bridge()

    @bridge.command
    def classify(text: str, top_k: int = 3) -> list[str]: ...

Run it with `python -m bridge my_module:bridge`. Needs msgspec and nothing else.
"""

from bridge.arguments import ArgumentError
from bridge.context import (
    current_call,
    current_session,
    define,
    forget,
    forget_all,
    trace_context,
)
from bridge.phases import phase
from bridge.registry import Bridge
from bridge.secrets import keep_secret

__all__ = [
    "ArgumentError",
    "Bridge",
    "current_call",
    "current_session",
    "define",
    "forget",
    "forget_all",
    "keep_secret",
    "phase",
    "trace_context",
]

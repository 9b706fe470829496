"""A bridge whose import takes a second."""

from __future__ import annotations

import sys
import time

from bridge.echo import bridge

__all__ = ["bridge"]

print("importing", file=sys.stderr, flush=True)
time.sleep(1.0)

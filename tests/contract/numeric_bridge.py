"""A bridge that multiplies matrices, and counts the threads that this takes."""

from __future__ import annotations

import os

import numpy as np

from bridge import Bridge

bridge = Bridge()


@bridge.command
def threads_of_a_product() -> int:
    """Threads of the process after a product that is large enough to be shared out."""
    matrix = np.ones((512, 512))
    assert (matrix @ matrix)[0, 0] == 512
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208

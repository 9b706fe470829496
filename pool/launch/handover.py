"""Makes the memory of a worker to come, whose other end the child is given at launch."""

from __future__ import annotations

from contextlib import ExitStack

from pool.exchange.large import Memory
from pool.launch.descriptors import close_end, open_memory


def new_memory(max_frame_bytes: int) -> Memory | None:
    """Make the two files of one worker; None where the kernel makes none."""
    with ExitStack() as undo:
        try:
            requests, results = _open(undo), _open(undo)
        except OSError:  # the worker does without: its values go through the pipes
            return None
        undo.pop_all()
        return Memory(requests, results, max_frame_bytes, close_end)


def _open(undo: ExitStack) -> int:
    fd = open_memory()
    undo.callback(close_end, fd)
    return fd

"""Stories by the thousand, on all processors."""

from __future__ import annotations

import gc
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.simulation.story import Story

CHUNK = 50

Failure = tuple[int, str]
"""A seed, and the traceback of what went wrong."""


def failures(
    seeds: Sequence[int], on_progress: Callable[[int], object] = lambda _: None
) -> Iterator[list[Failure]]:
    """Tell the stories of these seeds, and yield those that went wrong as they are found."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as executor:
        told = {executor.submit(tell_all, chunk): len(chunk) for chunk in chunks}
        for future in as_completed(told):
            on_progress(told[future])
            yield future.result()


def tell_all(seeds: Sequence[int]) -> list[Failure]:
    """Tell the stories of these seeds; return those that went wrong."""
    # Misbehaviour is logged as warnings; here it is the order of the day.
    logging.getLogger("bridgepool").setLevel(logging.CRITICAL)
    failed = []
    for seed in seeds:
        try:
            Story(seed).tell()
        except BaseException:
            failed.append((seed, traceback.format_exc()))
        gc.collect(1)
    return failed

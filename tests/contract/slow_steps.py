"""A bridge each step of whose start takes a time that a test can tell."""

from __future__ import annotations

import time

from bridge import Bridge

IMPORT, PRELOAD, ON_START = 0.06, 0.04, 0.05
"""Seconds, at least."""

time.sleep(IMPORT)
bridge = Bridge()


@bridge.preload
def prepare() -> None:
    time.sleep(PRELOAD)


@bridge.on_start
def start() -> None:
    time.sleep(ON_START)


@bridge.command
def hello() -> str:
    return "hello"

"""The secrets of this process, which must not leave in an error's text."""

from __future__ import annotations

import contextlib
import os
import threading

import msgspec

from bridge.messages.secrets import Secrets


class _SharedSecrets(Secrets):
    """Learned on the thread that reads the wire, and hidden on those that run commands."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def _remember(self, values: dict[str, frozenset[str]], value: str) -> None:
        with self._lock:
            super()._remember(values, value)

    def _all_forms(self) -> frozenset[str]:
        with self._lock:
            return super()._all_forms()


secrets = _SharedSecrets()


def keep_secret(value: str | None) -> None:
    """Hide `value` in every error that this bridge reports from now on."""
    if value:
        secrets.keep(value)


def learn_options(options: bytes) -> None:
    """Hide what start-up options, given as JSON, hold under names that look secret."""
    with contextlib.suppress(ValueError, RecursionError):  # whoever reads them says so
        secrets.learn_members(msgspec.json.decode(options))


def known_secrets() -> Secrets:
    """All of them; variables of the environment, which user code may set, as they are now."""
    # Another thread may remove one meanwhile.
    secrets.learn_environment({name: os.environ.get(name, "") for name in os.environ})
    return secrets

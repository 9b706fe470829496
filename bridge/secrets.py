"""The secrets of this process, which must not leave in an error's text."""

from __future__ import annotations

import contextlib
import os

import msgspec

from bridge.messages.secrets import Secrets

secrets = Secrets()


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
    secrets.learn_environment(os.environ)
    return secrets

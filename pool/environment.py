"""Whether the environment can run the bridge."""

from __future__ import annotations

from pool.errors import EnvironmentInvalid
from pool.launch import Launcher


async def problems_of(launcher: Launcher) -> tuple[str, ...]:
    """What is wrong, a sentence each; nothing if it is fit. A check that breaks is a problem."""
    try:
        return await launcher.validate()
    except Exception as error:
        return (f"the check itself failed: {error!r}",)


def unfit(pool: str, problems: tuple[str, ...]) -> EnvironmentInvalid:
    """The error for all who wait for a worker."""
    reasons = "; ".join(problems)
    return EnvironmentInvalid(f"{pool}: the environment cannot run the bridge: {reasons}", problems)

"""Whether the environment can run the bridge."""

from __future__ import annotations

from pool.errors import EnvironmentInvalid
from pool.launch import Launcher
from pool.quotes import excerpt

MAX_PROBLEMS = 100
"""Problems that are told; somebody else's interpreter may list any number."""


async def problems_of(launcher: Launcher) -> tuple[str, ...]:
    """What is wrong, a sentence each; nothing if it is fit. A check that breaks is a problem."""
    try:
        problems = await launcher.validate()
    except Exception as error:
        problems = (f"the check itself failed: {error!r}",)
    return tuple(excerpt(launcher.secrets, problem) for problem in problems[:MAX_PROBLEMS])


def unfit(pool: str, problems: tuple[str, ...]) -> EnvironmentInvalid:
    """The error for all who wait for a worker."""
    reasons = "; ".join(problems)
    return EnvironmentInvalid(f"{pool}: the environment cannot run the bridge: {reasons}", problems)

"""Whether the environment can run the bridge: asked once, for all who need to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

Validate = Callable[[], Awaitable[tuple[str, ...]]]


class Verdict(Enum):
    UNKNOWN = "unknown"
    BEING_ASKED = "being asked"
    VALID = "valid"
    INVALID = "invalid"


class Environment:
    """One validation at a time. A success is kept; a failure is asked again at the next need."""

    def __init__(self, validate: Validate) -> None:
        self._validate = validate
        self.verdict = Verdict.UNKNOWN
        self.problems: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        return self.verdict is Verdict.VALID

    def claim(self) -> bool:
        """Take on the validation; False if it is under way or not needed.

        Whoever gets True runs `validate`. The claim is made within one step,
        so that of eight who need it at once exactly one does.
        """
        if self.verdict in (Verdict.BEING_ASKED, Verdict.VALID):
            return False
        self.verdict = Verdict.BEING_ASKED
        return True

    async def renew(self) -> tuple[str, ...]:
        """Validate again, whatever is known; a failure does not undo an earlier success."""
        problems = await self._ask()
        if not problems:
            self.verdict, self.problems = Verdict.VALID, problems
        return problems

    async def validate(self) -> tuple[str, ...]:
        """Return the problems, a sentence each; nothing if the environment is fit."""
        try:
            self.problems = await self._ask()
        except BaseException:
            self.verdict = Verdict.UNKNOWN
            raise
        self.verdict = Verdict.INVALID if self.problems else Verdict.VALID
        return self.problems

    async def _ask(self) -> tuple[str, ...]:
        try:
            return await self._validate()
        except Exception as error:
            return (f"the check itself failed: {error!r}",)

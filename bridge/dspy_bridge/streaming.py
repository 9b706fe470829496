"""A run of a program that tells its outputs while the LM writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.streaming import StreamListener, StreamResponse
from dspy.utils.exceptions import (
    AdapterParseError,
    LMStreamAssemblyError,
    LMUnsupportedFeatureError,
)

from bridge.dspy_bridge.building import Built
from bridge.dspy_bridge.execution import Outcome, call_settings, outcome, with_details

_NO_STREAM = (LMUnsupportedFeatureError, LMStreamAssemblyError, AdapterParseError)
"""How it shows that an LM does not stream, or that a server does not though it was asked to."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of an output, which goes by the client's name."""

    field: str
    text: str


async def stream(
    built: Built, inputs: dict[str, Any], lm: dspy.LM, fields: list[str] | None = None
) -> AsyncGenerator[Text | Outcome, None]:
    """Pieces of the outputs, or of those in `fields`, as they come; at last the outcome.

    The outcome is what counts: dspy tells field from field by what the text
    looks like, and may leave out some of it. If nothing comes on the way, the
    program runs again without. Left early, it has its request to the provider
    closed.

    Raises what `execute` does, and `ValueError` for fields that there are not.
    """
    arguments = built.named(inputs)
    feed = _Feed(built, _listeners(built, fields))
    # dspy's stream can be left only by the task that reads it, and only while it does; whoever
    # reads ours may close it from another one.
    feeding = asyncio.create_task(feed.run(arguments, lm))
    try:
        while (item := await feed.items.get()) is not None:
            yield item
        await feeding
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


def _listeners(built: Built, fields: list[str] | None) -> list[StreamListener]:
    name, predictor = built.answering()
    known = [built.signature.raw_name(field) for field in predictor.signature.output_fields]
    unknown = [field for field in fields or () if field not in known]
    if unknown:
        raise ValueError(f"No such output(s): {', '.join(unknown)} (there are: {', '.join(known)})")
    mapping = built.signature.field_mapping
    wanted = known if fields is None else fields
    return [StreamListener(mapping.get(field, field), predictor, name) for field in wanted]


class _Detailed(dspy.Module):  # type: ignore[misc]
    """Errors have their details before dspy's stream takes their causes from them."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program

    async def aforward(self, **inputs: Any) -> Any:
        with with_details():
            return await self.program.acall(**inputs)


class _Feed:
    """Runs a program, and puts what it tells among `items`; None is the end, good or bad."""

    def __init__(self, built: Built, listeners: list[StreamListener]) -> None:
        # Without bounds: a reader that is slow must not keep the provider waiting, and all of
        # it is no more than one answer.
        self.items: asyncio.Queue[Text | Outcome | None] = asyncio.Queue()
        self._built = built
        self._listeners = listeners
        self._has_told = False

    async def run(self, arguments: dict[str, Any], lm: dspy.LM) -> None:
        try:
            with call_settings(lm) as tracker:
                prediction = await self._predict(arguments)
                self.items.put_nowait(outcome(self._built, prediction, tracker))
        finally:
            self.items.put_nowait(None)

    async def _predict(self, arguments: dict[str, Any]) -> Any:
        program = _Detailed(self._built.module)
        streamed = dspy.streamify(program, None, self._listeners, is_async_program=True)
        try:
            return await self._told(streamed(**arguments))
        except _NO_STREAM:
            if self._has_told:
                raise
        return await program.acall(**arguments)

    async def _told(self, values: AsyncIterator[Any]) -> Any:
        """Pass on the texts; return the prediction that comes last."""
        prediction = None
        async for value in values:
            if isinstance(value, StreamResponse) and value.chunk:
                self._tell(value)
            elif isinstance(value, dspy.Prediction):
                prediction = value
        return prediction

    def _tell(self, response: StreamResponse) -> None:
        self._has_told = True
        name = self._built.signature.raw_name(response.signature_field_name)
        self.items.put_nowait(Text(name, response.chunk))

"""`local/echo`: a deterministic LM inside the bridge; needs no key and no network."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import dspy
from dspy import lm15

MODEL = "local/echo"

_MARKER = re.compile(r"\[\[ ## (\w+) ## \]\]")
_WANTED = re.compile(
    r"`\[\[ ## (\w+) ## \]\]`(?: \(must be formatted as a valid Python (.+?)\)(?=,|$))?"
)
_WORDS = re.compile(r"\s*\S+|\s+$")
_REQUEST = "Respond with the corresponding output fields"


def make_echo_lm(latency: float = 0.0, failure_rate: float = 0.0, seed: int = 0) -> dspy.LM:
    """An LM whose every output field repeats the inputs, in the type that is asked for.

    `latency` is in seconds a request; `failure_rate` in 0 to 1 is the share of
    requests that raise a server error, drawn from `seed`.
    """
    engine = EchoEngine(latency, failure_rate, seed)
    return dspy.LM(
        MODEL,
        engine=engine,
        async_engine=AsyncEchoEngine(engine),
        cache=False,
        num_retries=0,
    )


class EchoEngine:
    """A dspy engine that answers from the prompt alone."""

    def __init__(self, latency: float, failure_rate: float, seed: int) -> None:
        self.latency = latency
        self._failure_rate = failure_rate
        self._random = random.Random(seed)

    def complete(self, request: Any) -> Any:
        time.sleep(self.latency)
        return self.answer(request)

    def answer(self, request: Any) -> Any:
        text, usage = self.text(request)
        return lm15.Response(
            id=None,
            model=MODEL,
            message=lm15.Message.assistant([lm15.TextPart(text)]),
            finish_reason="stop",
            usage=usage,
        )

    def text(self, request: Any) -> tuple[str, Any]:
        """The answer and its usage; raise `lm15.ServerError` as often as was set."""
        if self._random.random() < self._failure_rate:
            raise lm15.ServerError("local/echo was told to fail now and then", status=500)
        prompt = request.messages[-1].text or ""
        answer = answer_to(prompt)
        used_in, used_out = len(prompt.split()), len(answer.split())
        return answer, lm15.Usage(input_tokens=used_in, output_tokens=used_out)


class AsyncEchoEngine:
    """`EchoEngine` for dspy's asynchronous calls, which may ask for the answer word by word."""

    def __init__(self, engine: EchoEngine) -> None:
        self._engine = engine

    async def complete(self, request: Any) -> Any:
        await asyncio.sleep(self._engine.latency)
        return self._engine.answer(request)

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(self._engine.latency)
        text, usage = self._engine.text(request)
        yield lm15.StreamStartEvent(model=MODEL)
        for word in _WORDS.findall(text):
            yield lm15.StreamDeltaEvent(lm15.TextDelta(word))
        yield lm15.StreamEndEvent(finish_reason="stop", usage=usage)


def answer_to(prompt: str) -> str:
    """Fill each field that a dspy chat prompt asks for; repeat any other prompt."""
    given, asked, wanted = prompt.partition(_REQUEST)
    if not asked:
        return f"echo: {prompt}"
    text = " | ".join(_field_values(given))
    fields = [(name, type_) for name, type_ in _WANTED.findall(wanted) if name != "completed"]
    parts = [f"[[ ## {name} ## ]]\n{_value(type_, text)}" for name, type_ in fields]
    return "\n\n".join([*parts, "[[ ## completed ## ]]"])


def _field_values(given: str) -> list[str]:
    pieces = _MARKER.split(given)
    return [value.strip() for value in pieces[2::2]]


def _value(type_: str, text: str) -> str:
    """A value of the type that dspy named in the prompt, derived from `text`."""
    number = zlib.crc32(text.encode()) % 1000
    if type_ in ("", "str"):
        return f"echo: {text}"
    if type_ == "bool":
        return str(number % 2 == 0)
    if type_ in ("int", "float"):
        return str(number)
    if type_.startswith("Literal["):
        return type_.removeprefix("Literal[").split(",")[0].strip(" ]'\"")
    if type_.startswith("list"):
        return json.dumps([text] if "str" in type_ or type_ == "list" else [])
    return "{}" if type_.startswith("dict") else "null"

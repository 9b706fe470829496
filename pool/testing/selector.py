"""A selector of nothing."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from typing import Any


class NothingToSelect(selectors.BaseSelector):
    """A selector for which nothing but the loop's own wake-up socket is ever registered."""

    def __init__(self, begin_turn: Callable[[float | None], None]) -> None:
        self._begin_turn = begin_turn
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self._keys:
            raise RuntimeError(
                "a descriptor is ready in real time, which does not pass on a virtual loop"
            )
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._begin_turn(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

"""A value that was read from memory."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bridge.messages.memory import Placed
from bridge.messages.memory.arrays import array_of


class Held(Struct, frozen=True):
    """What a message said of a value, and its bytes, which are nobody else's."""

    placed: Placed
    data: Any

    def value(self) -> Any:
        """The bytes, or an array over them; raise `ValueError` if there can be no such array."""
        if self.placed.type == "bytes":
            return self.data
        return array_of(self.data, self.placed.dtype, self.placed.shape)

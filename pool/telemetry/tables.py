"""Facts of each call, many at a time and in columns: for those who count them. Pure.

An event for each costs several times as much to make, to keep and to take apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from msgspec import Raw

from pool.telemetry.events import CallFinished, CheckoutReturned, Event

T = TypeVar("T")


class Column(Generic[T]):
    """A member of all the events that a table stands for."""

    def __init__(self, kind: type[Event], member: str) -> None:
        self._cells = slice(members(kind).index(member), None, len(members(kind)))

    def __get__(self, table: Table, owner: object = None) -> list[T]:
        return table.cells[self._cells]


def members(kind: type[Event]) -> tuple[str, ...]:
    """What a row has of an event: all but the name of the pool."""
    return kind.__struct_fields__[1:]


class Table(Event, frozen=True, gc=False):
    """Events of the one kind `of`, in their order; `at` is that of the last one.

    `cells` has all members but `pool` of the first one, of the second one, and so on.
    It is told after whatever else happened in the same time.
    """

    of: ClassVar[type[Event]]
    level = "debug"

    cells: list[Any]

    @classmethod
    def width(cls) -> int:
        """Cells of a row."""
        return len(members(cls.of))

    @classmethod
    def from_cells(cls, pool: str, cells: list[Any]) -> Self:
        """Of one row at least."""
        return cls(pool, cells[-cls.width()], cells)

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> Self:
        """Of one event at least, all of one pool."""
        events = list(events)
        cells = [getattr(event, member) for event in events for member in members(cls.of)]
        return cls.from_cells(events[0].pool, cells)

    def __len__(self) -> int:
        return len(self.cells) // self.width()

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Row after row."""
        cells = iter(self.cells)
        return zip(*[cells] * self.width(), strict=True)

    def events(self) -> Iterator[Any]:
        """Row after row, as what they stand for."""
        return (self.of(self.pool, *row) for row in self.rows())

    def event(self, row: int) -> Any:
        """A row as what it stands for."""
        width = self.width()
        return self.of(self.pool, *self.cells[row * width : (row + 1) * width])

    def by(self, *columns: str) -> dict[tuple[Any, ...], Self]:
        """A table for each combination of what these columns have."""
        places = [members(self.of).index(column) for column in columns]
        width = self.width()
        if all(len(set(self.cells[place::width])) == 1 for place in places):
            return {tuple(self.cells[place] for place in places): self}  # as mostly
        groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for row in self.rows():
            groups[tuple([row[place] for place in places])].extend(row)
        return {key: self.from_cells(self.pool, cells) for key, cells in groups.items()}


class CallsFinished(Table, frozen=True, gc=False):
    """Each row is a `CallFinished`."""

    name = "calls.finished"
    of = CallFinished

    instants = Column[float](CallFinished, "at")
    workers = Column[str](CallFinished, "worker")
    commands = Column[str](CallFinished, "command")
    outcomes = Column[str](CallFinished, "outcome")
    waits = Column[float | None](CallFinished, "waited")
    seconds = Column[float](CallFinished, "seconds")
    computes = Column[float | None](CallFinished, "compute")
    request_bytes = Column[int](CallFinished, "request_bytes")
    response_bytes = Column[int](CallFinished, "response_bytes")
    counts = Column[dict[str, int] | None](CallFinished, "counts")
    items = Column[int](CallFinished, "items")
    phases = Column[Raw | None](CallFinished, "phases")
    are_alone = Column[bool](CallFinished, "is_alone")


class CheckoutsReturned(Table, frozen=True, gc=False):
    """Each row is a `CheckoutReturned`, but for those whose checkout was for one call alone.

    Of these the row of the call tells all there is.
    """

    name = "checkouts.returned"
    of = CheckoutReturned

    waits = Column[float](CheckoutReturned, "waited")
    held = Column[float](CheckoutReturned, "held")


TABLES: tuple[type[Table], ...] = (CallsFinished, CheckoutsReturned)
"""All kinds."""


class Rows(list[Any]):
    """The cells of a table until it is told: `add` is what each row comes by.

    Only if they `are_wanted`; `one_by_one` is whether they are as events. The first one
    has to `begin` it.
    """

    def __init__(
        self,
        kind: type[Table],
        pool: str,
        tell: Callable[[Event], None],
        begin: Callable[[], None],
    ) -> None:
        super().__init__()
        self.begin = begin
        self.are_wanted = self.one_by_one = self._as_table = False
        self.width = kind.width()
        self._kind = kind
        self._pool = pool
        self._tell = tell

    def see_what_is_wanted(self, kinds: Collection[type[Event]]) -> None:
        """Whether somebody wants tables, or events."""
        self._as_table, self.one_by_one = self._kind in kinds, self._kind.of in kinds
        self.are_wanted = self._as_table or self.one_by_one

    def add(self, row: tuple[Any, ...]) -> None:
        if not self:
            self.begin()
        self += row
        if self.one_by_one:
            self.note(row)

    def note(self, row: Sequence[Any]) -> None:
        """Tell of it as an event, for who wants that."""
        self._tell(self._kind.of(self._pool, *row))

    def take(self) -> Table | None:
        """All of them, if somebody wants them as a table."""
        cells = self[:]
        self.clear()
        return self._kind.from_cells(self._pool, cells) if cells and self._as_table else None

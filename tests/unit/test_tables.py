"""Many events in columns."""

from __future__ import annotations

import pytest

from pool.telemetry.events import CallFinished, CheckoutReturned
from pool.telemetry.tables import TABLES, CallsFinished, CheckoutsReturned, Rows, members
from tests.unit.profiles import call


def test_columns_have_what_the_events_have() -> None:
    calls = [call("a", 0.1, at=1.0), call("b", 0.2, at=2.0, is_alone=True)]
    table = CallsFinished.from_events(calls)
    assert (table.pool, table.at, len(table)) == ("p", 2.0, 2)
    assert (table.commands, table.seconds) == (["a", "b"], [0.1, 0.2])
    assert (table.instants, table.are_alone) == ([1.0, 2.0], [False, True])
    assert [table.event(row) for row in range(2)] == calls


def test_a_table_of_one_event() -> None:
    table = CallsFinished.from_events([call(at=3.0)])
    assert (table.pool, table.at, len(table)) == ("p", 3.0, 1)
    assert table.event(0) == call(at=3.0)


def test_a_call_has_a_column_for_each_of_its_members() -> None:
    table = CallsFinished.from_cells("p", [*range(len(members(CallFinished)))])
    columns = [name for name in vars(CallsFinished) if isinstance(getattr(table, name), list)]
    assert sorted(getattr(table, name)[0] for name in columns) == table.cells


def test_a_checkout_has_columns_of_its_durations() -> None:
    table = CheckoutsReturned.from_cells("p", [1.0, "p-1", 0.25, 0.5, 2.0, "p-2", 0.75, 1.5])
    assert (table.waits, table.held) == ([0.25, 0.75], [0.5, 1.5])


def test_a_table_has_the_name_of_its_events_and_their_level() -> None:
    assert [(kind.name, kind.level) for kind in TABLES] == [
        ("calls.finished", CallFinished.level),
        ("checkouts.returned", CheckoutReturned.level),
    ]


def test_cells_that_are_no_whole_rows_are_not_read() -> None:
    table = CheckoutsReturned.from_cells("p", [1.0, "p-1", 0.0, 0.5, 2.0])
    with pytest.raises(ValueError, match="shorter"):
        list(table.rows())


def test_a_table_is_taken_apart_by_what_its_rows_have() -> None:
    names = [("a", "ok"), ("b", "ok"), ("a", "error"), ("a", "ok")]
    calls = [call(name, outcome=outcome, at=at) for at, (name, outcome) in enumerate(names)]
    parts = CallsFinished.from_events(calls).by("command", "outcome")
    found = {key: part.instants for key, part in parts.items()}
    assert found == {("a", "ok"): [0, 3], ("b", "ok"): [1], ("a", "error"): [2]}
    assert {(part.pool, part.at) for part in parts.values()} == {("p", 3), ("p", 1), ("p", 2)}


def test_a_table_of_one_kind_is_its_own_part() -> None:
    table = CallsFinished.from_events([call(), call()])
    assert table.by("command") == {("work",): table}
    assert table.by("command")["work",] is table


def test_rows_begin_once_for_each_table() -> None:
    begun: list[int] = []
    rows = Rows(CheckoutsReturned, "p", print, lambda: begun.append(len(rows)))
    rows.see_what_is_wanted({CheckoutsReturned})
    for _ in range(2):
        rows.add((1.0, "p-1", 0.0, 0.5))
        rows.add((2.0, "p-1", 0.0, 0.5))
        table = rows.take()
        assert table is not None
        assert len(table) == 2
    assert begun == [0, 0]
    assert rows.take() is None


def test_no_table_is_made_for_those_who_want_events() -> None:
    noted: list[object] = []
    rows = Rows(CheckoutsReturned, "p", noted.append, lambda: None)
    rows.see_what_is_wanted({CheckoutReturned})
    rows.add((1.0, "p-1", 0.0, 0.5))
    assert rows.take() is None
    assert noted == [CheckoutReturned("p", 1.0, "p-1", 0.0, 0.5)]

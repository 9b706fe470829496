"""A pool's way from new to closed."""

from __future__ import annotations

import pytest

from pool.ledger.life import Life
from pool.lifecycle import IllegalTransition, PoolState


def opened() -> Life:
    life = Life()
    life.open()
    return life


FACTS = (
    *("takes_work", "may_grow", "is_draining", "is_closed"),
    *("queue_is_shut", "is_hurried", "is_terminated"),
)


def facts(life: Life) -> set[str]:
    return {name for name in FACTS if getattr(life, name)}


def test_a_new_pool_does_nothing() -> None:
    life = Life()
    assert (life.state, facts(life), life.hurry_at) == (PoolState.NEW, set(), None)


def test_an_open_pool_takes_work_and_grows() -> None:
    life = opened()
    assert (life.state, facts(life)) == (PoolState.OPEN, {"takes_work", "may_grow"})
    with pytest.raises(IllegalTransition):
        life.open()


def test_in_a_crash_loop_it_refuses_work_until_it_is_probed() -> None:
    life = opened()
    life.probe()
    assert life.state is PoolState.OPEN
    life.fail()
    life.fail()
    assert (life.state, facts(life)) == (PoolState.FAILED, {"may_grow"})
    life.probe()
    assert life.state is PoolState.OPEN


def test_what_drains_neither_fails_nor_is_probed() -> None:
    life = opened()
    life.drain()
    life.drain()
    life.fail()
    life.probe()
    assert (life.state, facts(life)) == (PoolState.DRAINING, {"is_draining"})


def test_a_shut_pool_hurries_at_its_first_instant() -> None:
    life = opened()
    life.shut(5.0)
    life.shut(9.0)
    assert (life.hurry_at, facts(life)) == (5.0, {"is_draining", "queue_is_shut"})
    life.tick(4.9)
    assert facts(life) == {"is_draining", "queue_is_shut"}
    life.tick(5.0)
    assert facts(life) == {"is_draining", "queue_is_shut", "is_hurried"}


def test_time_alone_hurries_nobody() -> None:
    life = opened()
    life.drain()
    life.tick(1e9)
    assert not life.is_hurried


def test_a_terminated_pool_waits_for_nothing() -> None:
    life = opened()
    life.terminate()
    assert facts(life) == {"is_draining", "queue_is_shut", "is_hurried", "is_terminated"}


def test_a_closed_pool_stays_so() -> None:
    life = opened()
    life.close()
    assert (life.state, facts(life)) == (PoolState.CLOSED, {"is_closed"})
    with pytest.raises(IllegalTransition):
        life.drain()

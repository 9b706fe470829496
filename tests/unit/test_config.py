"""Settings that cannot be are refused with what to do, before anything starts."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from pool import Breaker, WorkerPool
from pool.config import PoolConfig, PoolOptions


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either a bridge"),
        ({"bridge": "a", "argv": ["b"]}, "either a bridge"),
        ({"bridge": " "}, "empty"),
        ({"argv": []}, "empty"),
        ({"argv": "node bridge.js"}, "argv is a list"),
        ({"bridge": "a", "requires": "dspy"}, "requires is a list"),
        ({"bridge": "a", "size": 0}, "size=0 must be a whole number of at least 1"),
        ({"bridge": "a", "size": True}, "size=True"),
        ({"bridge": "a", "size": 2.0}, "size=2.0"),
        ({"bridge": "a", "call_timeout": -1}, "call_timeout=-1 must be a number of seconds"),
        ({"bridge": "a", "call_timeout": float("nan")}, "call_timeout=nan"),
        ({"bridge": "a", "size": 2, "min_ready": 3}, "min_ready=3 is more than size=2"),
        ({"bridge": "a", "start_method": "fork"}, "start_method"),
        ({"bridge": "a", "spares": -1}, "spares=-1"),
        ({"argv": ["a"], "requires": ["b"]}, "requires"),
        ({"bridge": "a", "grace_period": None}, "grace_period cannot be None"),
        ({"bridge": "a", "size": None}, "size cannot be None"),
        ({"bridge": "a", "ping_interval": 0}, "ping_interval=0"),
        ({"bridge": "a", "leak_threshold": 0}, "leak_threshold=0 must be more than no time"),
        ({"bridge": "a", "leak_threshold": float("inf")}, "leak_threshold=inf"),
        ({"bridge": "a", "breaker": True}, "breaker=True must be a Breaker(...) or None"),
        ({"bridge": "a", "breaker": Breaker}, "must be a Breaker(...) or None"),
        ({"bridge": "a", "env": {"A": 1}}, "env are text"),
        ({"bridge": "a", "env": {"A=B": "1"}}, "'=' in it"),
        ({"bridge": "a\0b"}, "without NUL"),
        ({"argv": ["a", 5]}, "text"),
        ({"bridge": "a", "max_address_space": 2**26 - 1}, "a whole number from 67108864 to"),
        ({"bridge": "a", "max_address_space": 2**63}, "max_address_space=9223372036854775808"),
        ({"bridge": "a", "max_address_space": 1e9}, "max_address_space=1000000000.0"),
        ({"bridge": "a", "max_open_files": 31}, "max_open_files=31 must be a whole number from 32"),
        ({"bridge": "a", "cpu_threads": 0}, "cpu_threads=0 must be a whole number of at least 1"),
        ({"bridge": "a", "cpu_threads": True}, "cpu_threads=True"),
        ({"bridge": "a", "niceness": -1}, "niceness=-1 must be a whole number from 0 to 19"),
        ({"bridge": "a", "niceness": 20}, "niceness=20 must be a whole number from 0 to 19"),
        ({"bridge": "a", "options": {"x": object()}}, "options cannot be encoded"),
        ({"bridge": "a", "options": [1]}, "options must be a JSON object"),
        ({"bridge": "a", "options": {"x": "y" * 5000}, "max_frame_bytes": 4096}, "too much"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"^WorkerPool: ") as caught:
        WorkerPool(**settings)
    assert said in str(caught.value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="sise"):
        WorkerPool("a", sise=3)  # type: ignore[call-arg]


def test_the_typed_options_are_the_fields_of_the_configuration() -> None:
    named = {item.name for item in fields(PoolConfig)} - {"bridge", "argv"}
    assert set(get_type_hints(PoolOptions)) == named


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"bridge": "package.module"}, "module"),
        ({"bridge": "package.module:bridge"}, "module"),
        ({"bridge": "package.module:other"}, "module.other"),
        ({"argv": ["/usr/bin/node", "bridge.js"]}, "node"),
        ({"bridge": "a", "name": "mine"}, "mine"),
    ],
)
def test_a_pool_is_named_after_its_bridge(settings: dict[str, Any], name: str) -> None:
    assert WorkerPool(**settings).name == name


def test_values_that_may_be_secret_are_not_shown() -> None:
    config = PoolConfig(bridge="a", env={"KEY": "hush"}, options={"api_key": "hush"})
    assert "hush" not in repr(config)

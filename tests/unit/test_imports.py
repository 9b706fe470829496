"""The watch over imports: what it measures, and that nobody notices it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.template.imports import ImportWatch, thread_count

SOURCES = {
    "watched_outer.py": "import time, watched_inner\ntime.sleep(0.02)\n",
    "watched_inner.py": "import time\ntime.sleep(0.03)\n",
    "watched_broken.py": "import watched_inner\n1 / 0\n",
    "watched_outer_thread.py": "import watched_thread\n",
    "watched_thread.py": (
        "import threading\nstop = threading.Event()\n"
        "thread = threading.Thread(target=stop.wait, name='inner-thread')\nthread.start()\n"
    ),
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in SOURCES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_a_modules_own_time_is_without_what_it_imports() -> None:
    with ImportWatch() as watch:
        importlib.import_module("watched_outer")
    costs = {cost.module: cost for cost in watch.costs}
    inner, outer = costs["watched_inner"], costs["watched_outer"]
    assert inner.own == inner.total >= 0.03
    assert outer.total >= 0.05
    assert outer.own == pytest.approx(outer.total - inner.total)


def test_an_import_that_fails_is_measured_and_raised_as_it_is() -> None:
    with ImportWatch() as watch, pytest.raises(ZeroDivisionError):
        importlib.import_module("watched_broken")
    assert [cost.module for cost in watch.costs] == ["watched_inner", "watched_broken"]


def test_a_module_that_is_not_there_is_not_there() -> None:
    with ImportWatch() as watch, pytest.raises(ModuleNotFoundError, match="no_such_module"):
        importlib.import_module("no_such_module")
    assert watch.costs == []


def test_a_thread_belongs_to_the_innermost_import_in_which_it_appeared() -> None:
    with ImportWatch() as watch:
        module = importlib.import_module("watched_outer_thread").watched_thread
    module.stop.set()
    module.thread.join()
    assert watch.appeared["inner-thread"] == "the import of watched_thread"


def test_nothing_of_the_watch_is_left_on_a_module() -> None:
    finders = list(sys.meta_path)
    with ImportWatch():
        module = importlib.import_module("watched_inner")
    assert sys.meta_path == finders
    assert module.__spec__ is not None
    assert not {"exec_module", "create_module"} & vars(module.__spec__.loader).keys()
    assert importlib.reload(module) is module


def test_a_lazy_module_runs_as_usual_when_nobody_watches_any_more() -> None:
    with ImportWatch() as watch:
        spec = importlib.util.find_spec("watched_inner")
        assert spec is not None
        assert spec.loader is not None
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    assert module.time.__name__ == "time"
    assert watch.costs == []


def test_threads_are_counted_that_python_knows_nothing_of() -> None:
    before = thread_count()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert thread_count() == before + 1
    stop.set()
    thread.join()

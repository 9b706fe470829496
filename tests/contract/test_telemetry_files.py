"""The rules and the dashboard speak of metrics that are there, and of all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from pool import WorkerPool
from pool.telemetry.metrics import METRICS
from pool.telemetry.prometheus import PoolCollector
from tests.contract.scraping import values

FOLDER = Path(__file__).parents[2] / "telemetry"
NAME = re.compile(r"\bworkerpool_[a-z_]+")


def names_in(text: str) -> set[str]:
    return set(NAME.findall(text))


async def shown() -> dict[str, set[str]]:
    """The names of all samples that a pool shows, with the names of their labels."""
    pool = WorkerPool("bridge.faulty", size=1)
    registry = CollectorRegistry()
    collector = PoolCollector(pool)
    registry.register(collector)
    async with pool:
        async with pool.stream("trail", {"n": 1}) as items:
            assert [item async for item in items] == [0]
        text = generate_latest(registry).decode()
    collector.detach()
    found: dict[str, set[str]] = {}
    for name, labels in values(text):
        found.setdefault(name, {"pool"}).update(key for key, _ in labels)
    return found


async def test_what_the_rules_and_the_dashboard_speak_of_is_there() -> None:
    there = await shown()
    for file in ("alerts.yml", "alerts_test.yml", "grafana-dashboard.json"):
        spoken_of = names_in((FOLDER / file).read_text())
        assert spoken_of
        assert not spoken_of - {*there}, file


async def test_labels_that_are_chosen_by_are_there() -> None:
    there = await shown()
    text = (FOLDER / "alerts.yml").read_text() + "\n".join(expressions())
    chosen = re.findall(r"(workerpool_[a-z_]+)\{([^}]*)\}", text)
    assert len(chosen) > 30
    for name, labels in chosen:
        assert set(re.findall(r"([a-z_]+)=", labels)) <= there[name], name


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_the_dashboard_shows_every_metric() -> None:
    endings = {"counter": "_total", "histogram": "_bucket"}
    wanted = {f"workerpool_{metric.name}{endings.get(metric.kind, '')}" for metric in METRICS}
    assert names_in("\n".join(expressions())) == wanted


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len({*places}) == len(places)


def test_each_alert_is_tested_and_described() -> None:
    alerts = re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    tests = (FOLDER / "alerts_test.yml").read_text()
    pages = (FOLDER.parent / "docs/operations.md").read_text()
    assert len(alerts) > 5
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +exp_alerts", tests), f"{alert} never fires"
        assert f"### {alert}\n" in pages

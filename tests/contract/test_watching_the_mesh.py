"""Alerts and dashboard ask for metrics that the services tell."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr

from orchestrator.app import create_app
from orchestrator.settings import OrchestratorSettings
from tests.conftest import SERVICE_SECRET
from tests.live_server import live_server
from tests.own_servers import required_program
from tools.settings_of import applications
from tools.source import ROOT

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "imts.json"
_SERIES = re.compile(r"\bmesh_[a-z_]+\b")
_KEY = "imts-key-of-the-dashboard-test"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every series name on a live `/metrics` page; the modules of all five services are imported by then."""
    assert len(applications(SERVICE_SECRET)) == 5
    folder = tmp_path_factory.mktemp("orchestrator")
    settings = OrchestratorSettings(
        data_dir=folder, service_secret=SecretStr(SERVICE_SECRET), api_key=SecretStr(_KEY)
    )  # fmt: skip
    with live_server(create_app(settings)) as url:
        page = httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {_KEY}"}, trust_env=False)
    assert page.status_code == 200
    found: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page.text, re.MULTILINE):
        found |= {name + ending for ending in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
    return found


def alerts() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def queries() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_metric_of_an_alert_exists(told: set[str]) -> None:
    for rule in alerts():
        asked = set(_SERIES.findall(rule["expr"]))
        assert asked <= told, rule["alert"]
        assert asked or rule["expr"].startswith("up")


def test_every_metric_of_the_dashboard_exists(told: set[str]) -> None:
    for title, expression in queries():
        asked = set(_SERIES.findall(expression))
        assert asked <= told, title
        assert asked or "up{" in expression


def test_an_alert_says_what_is_so_and_what_to_do() -> None:
    for rule in alerts():
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_panels_of_the_dashboard_do_not_cover_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        box = panel["gridPos"]
        mine = {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        assert not mine & cells, panel["title"]
        assert max(x for x, _ in mine) < 24
        cells |= mine


def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(
        [required_program("promtool"), "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

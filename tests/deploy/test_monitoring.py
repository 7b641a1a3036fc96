"""Prometheus' and Grafana's files name metrics that exist, and each alert has a test.

`make deploy` runs the tests of the alerts in promtool, and the dashboard's queries in Prometheus.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import Start
from tests.deploy.files import DASHBOARD, ROOT, compose

MONITORING = ROOT / "deploy/monitoring"


def loaded(name: str) -> Any:
    return yaml.safe_load((MONITORING / name).read_text())


def alerts() -> list[dict[str, Any]]:
    (group,) = loaded("alerts.yml")["groups"]
    return list(group["rules"])


async def test_alerts_are_about_existing_metrics(start: Start) -> None:
    """A misspelt name would never raise an alert."""
    server = await start(public_stats=True)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        text = (await http.get("/metrics")).text
    given = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    for alert in alerts():
        for name in re.findall(r"rtdemo_\w+", alert["expr"]):
            assert name.removesuffix("_bucket") in given or name in given, name


def expected_to_fire() -> set[str]:
    """Return the alerts that a test of promtool expects to fire."""
    found: set[str] = set()
    for test in loaded("alerts_test.yml")["tests"]:
        for each in test.get("alert_rule_test", []):
            found |= {each["alertname"]} if each["exp_alerts"] else set()
        for each in test.get("promql_expr_test", []):
            labels = " ".join(sample["labels"] for sample in each["exp_samples"] if sample["value"])
            found |= set(re.findall(r'alertname="(\w+)"', labels))
    return found


def test_every_alert_says_what_to_do() -> None:
    """In two sentences: what happens where, and what to do or where it is written."""
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert set(alert["annotations"]) == {"summary", "description"}


def test_every_alert_is_expected_to_fire() -> None:
    """In a test with metrics that are bad; a name in a comment does not count."""
    assert expected_to_fire() == {alert["alert"] for alert in alerts()}


def test_no_alert_is_expected_of_servers_that_are_well() -> None:
    """In the first test, which has each metric that an alert reads."""
    well, *_ = loaded("alerts_test.yml")["tests"]
    (nothing,) = well["promql_expr_test"]
    assert (nothing["expr"], nothing["exp_samples"]) == ("count(ALERTS)", [])
    series = " ".join(each["series"] for each in well["input_series"])
    for alert in alerts():
        (metric,) = re.findall(r"\brtdemo_\w+|\bup\b", alert["expr"].replace('"rtdemo"', ""))
        assert f"{metric}{{" in series, alert["alert"]


def mounted(service: str) -> dict[str, str]:
    """Return what compose.yaml mounts from the project: file by its path in the container."""
    volumes = [volume.split(":") for volume in compose()["services"][service]["volumes"]]
    return {where: source for source, where, *_ in volumes if source.startswith("./")}


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_mounted_files_exist(service: str) -> None:
    """Docker makes a folder of a file that is missing."""
    assert all((ROOT / source).is_file() for source in mounted(service).values())


def test_prometheus_finds_the_servers_and_its_token() -> None:
    """Names and port of compose.yaml's services, and the file that their command writes."""
    (job,) = loaded("prometheus.yml")["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    services = compose()["services"]
    assert set(found["names"]) == {name for name, service in services.items() if "build" in service}
    assert found["port"] == 3000
    (command,) = services["prometheus"]["command"]
    assert f"> {job['authorization']['credentials_file']} " in command
    assert "/etc/prometheus/alerts.yml" in mounted("prometheus")


def test_grafana_has_the_dashboard_and_its_source() -> None:
    """The provider reads the folder with the dashboard; the source is the service by its port."""
    files = mounted("grafana")
    (provider,) = loaded("grafana/dashboards.yml")["providers"]
    assert (
        files[f"{provider['options']['path']}/rtdemo.json"] == "./deploy/monitoring/grafana/rtdemo.json"
    )
    home = compose()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in files
    (source,) = loaded("grafana/datasource.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    dashboard = json.loads(DASHBOARD.read_text())
    types = {panel["datasource"]["type"] for panel in dashboard["panels"]}
    assert types == {source["type"]}

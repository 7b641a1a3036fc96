"""The manifests of Kubernetes fit the image, the settings and each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from rtdemo.server.server import Server
from rtdemo.settings.settings import SETTINGS
from rtdemo.settings.settings import load as settings_from
from tests.conftest import Start
from tests.deploy.files import ROOT, image, served_variables

FILES = ("rtdemo.yaml", "autoscaler.yaml")


def manifests() -> list[dict[str, Any]]:
    """Return all objects."""
    folder = ROOT / "deploy/kubernetes"
    return [found for name in FILES for found in yaml.safe_load_all((folder / name).read_text())]


def of_kind(kind: str, name: str = "rtdemo") -> dict[str, Any]:
    (found,) = (each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each workload's labels and its pod."""
    for each in manifests():
        if each["kind"] in ("Deployment", "StatefulSet"):
            template = each["spec"]["template"]
            yield template["metadata"]["labels"], template["spec"]


def container() -> dict[str, Any]:
    (found,) = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def variables() -> dict[str, str]:
    """Return the variables of the server; one from the Secret is `value of KEY`."""
    return {
        each["name"]: each["value"]
        if "value" in each
        else f"value-of-{each['valueFrom']['secretKeyRef']['key']}"
        for each in container()["env"]
    }


def scrape_job() -> dict[str, Any]:
    """Return the job of Prometheus for these pods."""
    config = yaml.safe_load((ROOT / "deploy/monitoring/kubernetes.yml").read_text())
    (job,) = config["scrape_configs"]
    return dict(job)


def adapter_rule() -> dict[str, Any]:
    """Return the rule for Prometheus' adapter, which is a comment of autoscaler.yaml."""
    lines = (ROOT / "deploy/kubernetes/autoscaler.yaml").read_text().splitlines()
    text = "\n".join(line.removeprefix("#   ") for line in lines if line.startswith("#   "))
    (rule,) = yaml.safe_load(text)
    return dict(rule)


def test_every_pod_is_confined() -> None:
    """No root, no capability, a read-only root, a limit of memory, and no account of the cluster."""
    for _, pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in pod["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in each["resources"]["limits"]


def test_server_runs_as_the_user_of_the_image_on_its_port() -> None:
    """Kubernetes checks the number; the Service and the probes name the port."""
    user, group = map(int, image().user.split(":"))
    context = of_kind("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (user, group)
    assert [port["containerPort"] for port in container()["ports"]] == list(image().ports)


def test_selectors_find_their_pods() -> None:
    """Services, the disruption budget and the network policy select labels that a pod has."""
    labels = [set(found.items()) for found, _ in pods()]
    selectors = [each["spec"]["selector"] for each in manifests() if each["kind"] == "Service"]
    selectors += [of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [of_kind("NetworkPolicy", "rtdemo-valkey")["spec"]["podSelector"]["matchLabels"]]
    assert all(any(set(each.items()) <= found for found in labels) for each in selectors)
    assert len(selectors) == 4


def test_variables_are_settings_of_the_program() -> None:
    """A misspelt one would have no effect."""
    assert variables().keys() <= served_variables().keys()


def test_server_has_time_to_drain() -> None:
    """SIGKILL comes after the pause before SIGTERM, the drain, and the 5 s in which the process ends."""
    pause_s = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_s = int(served_variables()["RTDEMO_DRAIN_SECONDS"].strip("Default: ."))
    grace_s = of_kind("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert pause_s >= 5
    assert grace_s >= pause_s + drain_s + 5


def test_an_update_takes_no_server_away_before_another_serves() -> None:
    """And a drain of nodes takes one at a time, also of ten."""
    spec = of_kind("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = of_kind("PodDisruptionBudget")["spec"]
    assert budget.keys() - {"selector"} == {"maxUnavailable"}
    assert budget["maxUnavailable"] == 1


def test_an_apply_keeps_the_number_of_servers() -> None:
    """The autoscaler's, or that of `kubectl scale`: a number in the Deployment would replace it."""
    assert "replicas" not in of_kind("Deployment")["spec"]


def test_the_other_servers_can_take_the_clients_of_one() -> None:
    """At the least number of servers, and at the connections that docs/cost.md names for one."""
    (carried,) = re.findall(r"about ([\d,]+) per core", (ROOT / "docs/cost.md").read_text())
    spec = of_kind("HorizontalPodAutoscaler")["spec"]
    servers = spec["minReplicas"]
    connections = servers * int(spec["metrics"][0]["pods"]["target"]["averageValue"])
    assert connections <= (servers - 1) * int(carried.replace(",", ""))


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
async def test_probe_is_answered(server: Server, probe: str) -> None:
    """With 200, under the Host that the kubelet sends: the address of the pod."""
    path = container()[probe]["httpGet"]["path"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await http.get(path, headers={"Host": "10.1.2.3:3000"})).status_code == 200


def test_prometheus_finds_the_pods() -> None:
    """By their label and the name of their port, and gives the labels that the adapter asks for."""
    rules = scrape_job()["relabel_configs"]
    kept = {rule["source_labels"][0]: rule["regex"] for rule in rules if rule.get("action") == "keep"}
    (wanted,) = of_kind("Deployment")["spec"]["selector"]["matchLabels"].items()
    (port,) = container()["ports"]
    assert kept == {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-z]', '_', wanted[0])}": wanted[1],
        "__meta_kubernetes_pod_container_port_name": port["name"],
    }
    given = {rule["target_label"] for rule in rules if "target_label" in rule}
    assert adapter_rule()["resources"]["overrides"].keys() == given


async def test_prometheus_counts_for_the_autoscaler(start: Start, tmp_path: Path) -> None:
    """A server with the variables of the manifest gives the metric for the token of the scrape job."""
    key = Path(scrape_job()["authorization"]["credentials_file"]).name
    environ = variables()
    del environ["REDIS_URL"]
    settings = settings_from({"production": True, "single_site": True}, environ, tmp_path / ".env")
    given = {name: getattr(settings, name) for name in SETTINGS}
    server = await start(**{**given, "host": "127.0.0.1", "port": 0})
    spec = of_kind("HorizontalPodAutoscaler")["spec"]
    name = spec["metrics"][0]["pods"]["metric"]["name"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await http.get("/metrics")).status_code == 401
        bearer = {"Authorization": f"Bearer value-of-{key}"}
        answer = await http.get("/metrics", headers=bearer)
    assert f"# TYPE {name} gauge" in answer.text
    assert adapter_rule()["seriesQuery"].startswith(f"{name}{{")


def test_autoscaler_scales_the_deployment() -> None:
    """It names it, and keeps two servers at least."""
    spec = of_kind("HorizontalPodAutoscaler")["spec"]
    deployment = of_kind("Deployment")
    assert spec["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }
    assert spec["minReplicas"] >= 2

"""The manifests of Kubernetes fit the image, the settings and each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from rtdemo.server.server import Server
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
    names = {each["name"] for each in container()["env"]}
    assert names <= served_variables().keys()


def test_server_has_time_to_drain() -> None:
    """SIGKILL comes after the pause before SIGTERM, the drain, and the 5 s in which the process ends."""
    pause_s = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_s = int(served_variables()["RTDEMO_DRAIN_SECONDS"].strip("Default: ."))
    grace_s = of_kind("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert pause_s >= 5
    assert grace_s >= pause_s + drain_s + 5


def test_an_update_takes_no_server_away_before_another_serves() -> None:
    """And an eviction leaves one."""
    spec = of_kind("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert of_kind("PodDisruptionBudget")["spec"]["minAvailable"] < spec["replicas"]


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
async def test_probe_is_answered(server: Server, probe: str) -> None:
    """With 200, under the Host that the kubelet sends: the address of the pod."""
    path = container()[probe]["httpGet"]["path"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await http.get(path, headers={"Host": "10.1.2.3:3000"})).status_code == 200


async def test_autoscaler_counts_what_a_server_reports(start: Start) -> None:
    """The metric is in /metrics, and the target is the Deployment."""
    spec = of_kind("HorizontalPodAutoscaler")["spec"]
    deployment = of_kind("Deployment")
    assert spec["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }
    assert spec["minReplicas"] == deployment["spec"]["replicas"]
    (metric,) = spec["metrics"]
    server = await start(public_stats=True)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        metrics = (await http.get("/metrics")).text
    assert f"# TYPE {metric['pods']['metric']['name']} gauge" in metrics

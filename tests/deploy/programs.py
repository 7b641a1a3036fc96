"""Check files of deploy/ with the programs that read them: promtool, Prometheus, Kubernetes' schemas."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.process import Process, rtdemo
from tests.deploy.files import DASHBOARD, ROOT
from tests.free_port import free_port
from tests.matrix.proxies.proxy import PYPI_FOLDER
from tests.system_packages import PROMETHEUS, PROMTOOL, require

MONITORING = ROOT / "deploy/monitoring"
KUBERNETES = ROOT / "deploy/kubernetes"
KUBERNETES_VERSIONS = ("1.30", "1.37")
"""The first with `preStop.sleep`, and the newest that kubernetes-validate has."""
SCRAPES_S = 25.0
"""Seconds for three scrapes of 5 s, from which Prometheus computes rates, and for its start."""


def promtool() -> list[str]:
    """Return what promtool finds in the configuration, the alerts, and the tests of the alerts."""
    commands = (
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    )
    faults = [fault for command in commands for fault in _run([require(PROMTOOL), *command], MONITORING)]
    return faults + _in_cluster()


def _in_cluster() -> list[str]:
    """Return what promtool finds in kubernetes.yml, without the discovery that Debian's build lacks."""
    config = yaml.safe_load((MONITORING / "kubernetes.yml").read_text())
    (job,) = config["scrape_configs"]
    del job["kubernetes_sd_configs"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kubernetes.yml").write_text(yaml.safe_dump(config))
        command = ["check", "config", "--syntax-only", "kubernetes.yml"]
        return _run([require(PROMTOOL), *command], Path(folder))


def kubernetes() -> list[str]:
    """Return what the published schemas do not allow in the manifests."""
    files = sorted(map(str, KUBERNETES.glob("*.yaml")))
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", "-k"]
    return [
        fault for version in KUBERNETES_VERSIONS for fault in _run([*command, version, *files], ROOT)
    ]


def _run(command: list[str], folder: Path) -> list[str]:
    environ = {**os.environ, "PYTHONPATH": str(PYPI_FOLDER)}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environ)
    return [] if ran.returncode == 0 else (ran.stdout + ran.stderr).splitlines()


async def prometheus(folder: Path) -> list[str]:
    """Let Prometheus scrape a server; return the rules and the dashboard's queries that do not work.

    Arguments:
        folder: existing and empty.
    """
    token = folder / "admin_token"
    token.write_text("a-token-of-the-test")
    server = rtdemo(folder, "server", "--production", "--admin-token", token.read_text())
    port = free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    (job,) = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(token)
    # In place of the names that only Compose's resolver knows.
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    command = [require(PROMETHEUS), f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    process = Process(command, port, folder / "prometheus.log")
    try:
        await server.start()
        await process.start("/-/ready")
        async with httpx.AsyncClient(base_url=process.url, timeout=10) as http:
            return await _faults(http)
    finally:
        await process.kill()
        await server.kill()


async def _faults(http: httpx.AsyncClient) -> list[str]:
    """Return the faults once all queries have a result, or after `SCRAPES_S`."""
    deadline = asyncio.get_running_loop().time() + SCRAPES_S
    while True:
        faults = [fault for query in _queries() if (fault := await _query(http, query))]
        if not faults or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(1)
    rules = (await http.get("/api/v1/rules")).json()["data"]["groups"]
    for rule in (rule for group in rules for rule in group["rules"]):
        if rule["health"] != "ok":
            faults.append(f"{rule['name']}: {rule.get('lastError', 'not evaluated')}")
        if rule["state"] != "inactive":
            faults.append(f"{rule['name']} is {rule['state']} for a server that is well")
    return faults


def _queries() -> Iterator[str]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m")
    yield 'up{job="rtdemo"} == 1'


async def _query(http: httpx.AsyncClient, query: str) -> str:
    """Return what is wrong with a query; empty if it has a result."""
    answer = (await http.get("/api/v1/query", params={"query": query})).json()
    if answer["status"] != "success":
        return f"{query}: {answer['error']}"
    return "" if answer["data"]["result"] else f"{query}: no result"

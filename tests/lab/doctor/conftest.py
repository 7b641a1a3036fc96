"""Everything that waits for silence, at the same time: a run waits most of its time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.lab.doctor import proxies
from tests.lab.doctor.doctor_run import Findings, before_and_after, examine, findings, served
from tests.lab.doctor.middlebox import middlebox
from tests.system_packages import find

SETUPS = (
    "",
    "nginx_default.conf",
    "nginx_buffering.conf",
    "nginx_gzip.conf",
    "nginx_read_timeout.conf",
    "nginx_no_upgrade.conf",
    "haproxy_client_timeout.cfg",
    "haproxy_well_set.cfg",
)
"""Proxies with a fault or without; the empty one is none."""
BOXES: dict[str, dict[str, Any]] = {
    "forgets": {"forgets": 1.75},
    "cuts by age": {"life": 3.0},
    "takes out Last-Event-ID": {"without": "Last-Event-ID"},
    "takes out the subprotocol": {"without": "Sec-WebSocket-Protocol"},
    "takes out Origin": {"without": "Origin"},
    "cuts what is large": {"largest": 32_768},
}
"""Boxes in the path, each with one fault."""


async def behind_boxes() -> dict[str, Findings]:
    """Return what doctor finds behind each box."""

    async def behind(**fault: Any) -> Findings:
        async with served(often=True) as server, middlebox(server.web_url, **fault) as url:
            return findings(await examine(url, idle=4))

    runs = await asyncio.gather(*(behind(**fault) for fault in BOXES.values()))
    return dict(zip(BOXES, runs, strict=True))


@pytest.fixture(scope="session")
def setups_findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Findings, Findings]]:
    """Examine each set-up before and after its mending, except where its proxy is not installed."""
    possible = [setup for setup in SETUPS if not setup or find(proxies.program(setup))]
    return asyncio.run(before_and_after(tmp_path_factory.mktemp("setups"), possible))


@pytest.fixture(scope="session")
def boxes_findings() -> dict[str, Findings]:
    """Examine what is behind each box."""
    return asyncio.run(behind_boxes())

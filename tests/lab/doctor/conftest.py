"""Fixtures that run doctor behind all proxies and middleboxes at the same time: a run mostly waits."""

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
"""Proxy configurations, with a fault or without; the empty name is for no proxy."""
MIDDLEBOXES: dict[str, dict[str, Any]] = {
    "drops after silence": {"drops_after": 1.75},
    "cuts by age": {"max_age": 3.0},
    "removes Last-Event-ID": {"removes": "Last-Event-ID"},
    "removes the subprotocol": {"removes": "Sec-WebSocket-Protocol"},
    "removes Origin": {"removes": "Origin"},
    "cuts large messages": {"max_bytes": 32_768},
}
"""Middleboxes with one fault each: the arguments of `middlebox`."""


async def behind_middleboxes() -> dict[str, Findings]:
    """Return the findings behind each middlebox."""

    async def behind(**fault: Any) -> Findings:
        async with served(often=True) as server, middlebox(server.web_url, **fault) as url:
            return findings(await examine(url, idle=4))

    runs = await asyncio.gather(*(behind(**fault) for fault in MIDDLEBOXES.values()))
    return dict(zip(MIDDLEBOXES, runs, strict=True))


@pytest.fixture(scope="session")
def setups_findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Findings, Findings]]:
    """Check each set-up before and after its fixes, except those with a proxy that is not installed."""
    possible = [setup for setup in SETUPS if not setup or find(proxies.program(setup))]
    return asyncio.run(before_and_after(tmp_path_factory.mktemp("setups"), possible))


@pytest.fixture(scope="session")
def middlebox_findings() -> dict[str, Findings]:
    """Check a server behind each middlebox."""
    return asyncio.run(behind_middleboxes())

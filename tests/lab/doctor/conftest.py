"""Fixtures that run doctor behind all proxies and middleboxes at the same time: a run mostly waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rtdemo.lab.doctor import events
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
    "drops after silence": {"drops_after": 3.6},
    "cuts by age": {"max_age": 5.0},
    "removes Last-Event-ID": {"removes": "Last-Event-ID"},
    "removes the subprotocol": {"removes": "Sec-WebSocket-Protocol"},
    "removes Origin": {"removes": "Origin"},
    "cuts large messages": {"max_bytes": 32_768},
    "holds until the next": {"holds": "next"},
    "holds until the end": {"holds": "end"},
    "holds 8 KiB": {"holds": "8192"},
    "collects for 200 ms": {"delay": 0.2},
    "counts the client's bytes": {"client_silence": 5.0},
    "answers 503 to some": {"refuses_above": 5},
    "stalls once": {"stalls": 1.5},
}
"""Middleboxes with one fault each: the arguments of `middlebox`."""


@pytest.fixture(autouse=True)
def shorter_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow messages by one second of silence, except in the runs of a whole session."""
    monkeypatch.setattr(events, "SILENCE_S", 1)


async def behind_middleboxes() -> dict[str, Findings]:
    """Return the findings behind each middlebox."""

    async def behind(**fault: Any) -> Findings:
        async with served(often=True) as server, middlebox(server.web_url, **fault) as url:
            return findings(await examine(url, idle=8))

    runs = await asyncio.gather(*(behind(**fault) for fault in MIDDLEBOXES.values()))
    return dict(zip(MIDDLEBOXES, runs, strict=True))


SetupsFindings = dict[str, tuple[Findings, Findings]]


async def behind_all(folder: Path) -> tuple[SetupsFindings, dict[str, Findings]]:
    """Return the findings of both kinds of set-ups, except those with a proxy that is not installed."""
    possible = [setup for setup in SETUPS if not setup or find(proxies.program(setup))]
    return await asyncio.gather(before_and_after(folder, possible), behind_middleboxes())


@pytest.fixture(scope="session")
def all_findings(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[SetupsFindings, dict[str, Findings]]:
    """Examine all set-ups at the same time: meanwhile the other processes of the run do nothing."""
    return asyncio.run(behind_all(tmp_path_factory.mktemp("setups")))


@pytest.fixture(scope="session")
def setups_findings(all_findings: tuple[SetupsFindings, dict[str, Findings]]) -> SetupsFindings:
    """Check each set-up before and after its fixes."""
    return all_findings[0]


@pytest.fixture(scope="session")
def middlebox_findings(
    all_findings: tuple[SetupsFindings, dict[str, Findings]],
) -> dict[str, Findings]:
    """Check a server behind each middlebox."""
    return all_findings[1]

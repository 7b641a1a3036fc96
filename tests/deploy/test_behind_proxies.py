"""Two servers behind each proxy of deploy/ that CI installs; `make deploy` runs all, and for longer."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.cluster.many_clients import DeliveryReport
from tests.cluster.proxies import IN_CI
from tests.deploy import through_proxy
from tests.deploy.rolling_update import RollingUpdate, roll

pytestmark = pytest.mark.alone
Outcome = tuple[list[str], RollingUpdate]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run both on servers of their own, at the same time: they mostly wait."""

    async def both(folder: Path) -> Outcome:
        for name in ("use", "roll"):
            (folder / name).mkdir()
        return await asyncio.gather(
            through_proxy.faults(folder / "use", IN_CI, idle_s=3, heartbeat_s=2),
            roll(folder / "roll", IN_CI, clients=20, drain_s=1.0, settle_s=2.5),
        )

    return asyncio.run(both(tmp_path_factory.mktemp("proxies")))


def test_everything_works_through_each_proxy(outcome: Outcome) -> None:
    """Both transports, texts to the right server, publishing, and `rtdemo doctor` finds no fault."""
    assert outcome[0] == []


def test_rolling_update_loses_repeats_and_refuses_nothing(outcome: Outcome) -> None:
    """Both servers are replaced, and each client that loses its own is served by the other at once."""
    assert outcome[1].faults == []
    # Each client has lost its server once, or twice.
    assert all(report.connections >= 2 * report.clients for report in outcome[1].reports.values())


def test_fault_of_a_rolling_update_has_its_reason() -> None:
    """A refusal by the proxy, and a client that waits too long, need different remedies."""
    refused = DeliveryReport(failed_attempts=2, reasons=Counter({"WSServerHandshakeError: 503": 2}))
    update = RollingUpdate({"envoy websocket": refused, "envoy sse": DeliveryReport()}, [])
    assert update.faults == [
        "envoy websocket: 2 failed_attempts",
        "envoy websocket: WSServerHandshakeError: 503 (2 times)",
    ]

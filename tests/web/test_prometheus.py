"""The metrics that Prometheus scrapes."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.timing.histogram import Histogram
from rtdemo.timing.loop_lag import LoopLag
from tests.clients import eventually
from tests.conftest import Connect


async def read(server: Server) -> dict[tuple[str, str], float]:
    """Return each sample by its name and its labels' values."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_metrics_are_those_of_the_server(
    server: Server, connect: Connect, clock: VirtualClock
) -> None:
    """A Prometheus parser reads the right connections, messages, runs, log and histograms."""
    peer = await connect(server, "websocket")
    clock.advance(4)
    await peer.say("/all hi")
    for _ in range(5):
        await peer.receive()
    samples = await read(server)
    assert samples["rtdemo_connections", "websocket"] == 1
    assert samples["rtdemo_connections", "sse"] == 0
    assert samples["rtdemo_messages_total", "websocket"] == 6
    assert samples["rtdemo_received_total", "websocket"] == 1
    assert samples["rtdemo_producer_runs_total", "message,message,websocket+sse"] == 2
    assert samples["rtdemo_log_messages", ""] == samples["rtdemo_engine_ready", "memory"] == 1
    assert samples["rtdemo_publish_seconds_count", ""] == 1
    assert samples["rtdemo_tick_lag_seconds_bucket", "+Inf"] == 3
    assert samples["rtdemo_tick_lag_seconds_bucket", "5.0"] == 3


async def test_dashboard_uses_existing_metrics(server: Server) -> None:
    """Every metric of the dashboard is in /metrics."""
    dashboard = (Path(__file__).parents[2] / "deploy/monitoring/grafana/rtdemo.json").read_text()
    asked = set(re.findall(r"rtdemo_\w+", dashboard))
    given = {name for name, _ in await read(server)}
    assert len(asked) > 10
    assert asked <= given


def test_histogram_counts_up_to_each_bound() -> None:
    """Counts are cumulative, as Prometheus expects, and nothing is counted twice."""
    histogram = Histogram()
    for seconds in (0.0, 0.0004, 0.003, 0.003, 0.7):
        histogram.record(seconds)
    assert histogram.cumulative([0.001, 0.01, 1.0, 2.0]) == [(0.001, 2), (0.01, 4), (1.0, 5), (2.0, 5)]
    assert histogram.total == pytest.approx(0.7064)


async def test_loop_lag_is_measured_until_stopped() -> None:
    """Each measurement schedules the next one."""
    measuring = LoopLag()
    measuring.start()
    await eventually(lambda: measuring.lag.count >= 1)
    measuring.stop()
    assert measuring.lag.maximum >= 0

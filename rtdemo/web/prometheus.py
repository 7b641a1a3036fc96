"""Show the statistics to Prometheus; they are taken when it asks, so that counting costs no more."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from rtdemo.hub.hub import Hub
from rtdemo.hub.statistics import Statistics
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.timing.histogram import Histogram
from rtdemo.web.aggregate import gather
from rtdemo.web.app_keys import HUB

BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds; upper bounds of the histograms' buckets."""

_COUNTERS = {
    "messages": "Messages written.",
    "bytes": "Bytes of messages with their framing.",
    "drops": "Periodic messages left out because a client's outbox was full.",
    "received": "Texts that came from clients.",
    "too_slow": "Connections ended because their outbox stayed full.",
    "resumes": "Connections that went on behind a position in the log.",
    "lost": "Times that a client was told that messages are lost to it.",
}
_ACCOUNT = {
    "runs": "Runs of a producer.",
    "failures": "Runs of a producer that raised, returned rubbish or took too long.",
    "blocked": "Runs of a producer that kept the loop for over 100 ms.",
}


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_get("/metrics", metrics)


async def metrics(request: web.Request) -> web.Response:
    """Answer `GET /metrics` in the Prometheus text format, for all workers together."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(request.app[HUB], await gather(request.app)))
    body = generate_latest(registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collected(Collector):
    """Give statistics as metrics; of the log, what this server has of it."""

    def __init__(self, hub: Hub, total: Statistics) -> None:
        self._hub = hub
        self._total = total

    def collect(self) -> Iterable[Metric]:
        """Give every metric."""
        total = self._total
        yield from self._by_transport()
        yield from self._by_producer()
        yield from self._log()
        yield _gauge("workers", "Processes that were added up.", total.workers)
        yield _gauge("uptime_seconds", "Seconds since the start.", total.uptime)
        yield _counter("cpu_seconds", "CPU time.", total.cpu)
        yield _histogram("tick_lag_seconds", "How late producers' ticks ran.", total.tick_lag)
        yield _counter("ticks_skipped", "Ticks left out, late by whole periods.", total.skipped)
        yield _histogram("loop_lag_seconds", "How late the event loop was.", total.loop_lag)

    def _by_transport(self) -> Iterable[Metric]:
        connections = GaugeMetricFamily("rtdemo_connections", "Open connections.", labels=["transport"])
        for transport in TRANSPORTS:
            connections.add_metric([transport], self._total.connections[transport])
        yield connections
        for name, about in _COUNTERS.items():
            family = CounterMetricFamily(f"rtdemo_{name}", about, labels=["transport"])
            for transport in TRANSPORTS:
                family.add_metric([transport], getattr(self._total.traffic[transport], name))
            yield family

    def _by_producer(self) -> Iterable[Metric]:
        for name, about in _ACCOUNT.items():
            labels = ["producer", "plugin", "transports"]
            family = CounterMetricFamily(f"rtdemo_producer_{name}", about, labels=labels)
            for account in self._total.producers:
                transports = "+".join(account.transports)
                family.add_metric([account.name, account.plugin, transports], getattr(account, name))
            yield family

    def _log(self) -> Iterable[Metric]:
        engine, total = self._hub.engine, self._total
        state = GaugeMetricFamily(
            "rtdemo_engine_ready", "1 while shared messages can be published.", labels=["engine"]
        )
        state.add_metric([engine.name], float(engine.state == "ready"))
        yield state
        yield _gauge("log_messages", "Shared messages held.", len(engine.log))
        yield _gauge("log_bytes", "Bytes of shared messages held.", engine.log.bytes)
        yield _gauge("leading", "1 where the shared producers run here.", float(total.leading))
        yield _counter("unpublished", "Shared messages that were not taken.", total.unpublished)
        about = "From a message's publication here to its position."
        yield _histogram("publish_seconds", about, total.publish)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rtdemo_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"rtdemo_{name}", about, value=value)


def _histogram(name: str, about: str, histogram: Histogram) -> Metric:
    buckets = [(str(bound), float(count)) for bound, count in histogram.cumulative(BOUNDS)]
    buckets.append(("+Inf", float(histogram.count)))
    return HistogramMetricFamily(f"rtdemo_{name}", about, buckets=buckets, sum_value=histogram.total)

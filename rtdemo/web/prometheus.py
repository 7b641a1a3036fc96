"""Statistics as Prometheus metrics, collected at each scrape so that counting stays cheap."""

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
from rtdemo.web.access import check_details
from rtdemo.web.aggregate import gather
from rtdemo.web.app_keys import HUB

BUCKET_BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the histograms' buckets, in seconds."""

_COUNTERS = {
    "messages": "Messages written.",
    "bytes": "Bytes of messages with their framing.",
    "drops": "Periodic messages dropped because a client's outbox was full.",
    "received": "Texts received from clients.",
    "too_slow": "Connections ended because their outbox stayed full.",
    "resumes": "Connections that resumed at a position in the log.",
    "lost": "Reports to clients that messages are lost to them.",
}
_PRODUCER_COUNTERS = {
    "runs": "Runs of a producer.",
    "failures": "Runs of a producer that raised an error, returned a wrong type, or took too long.",
    "blocked": "Runs of a producer that blocked the event loop for over 100 ms.",
    "nulls": "NaNs and infinities in a producer's values, which were sent as null.",
}


def setup(app: web.Application) -> None:
    """Add the route to the application."""
    app.router.add_get("/metrics", metrics)


async def metrics(request: web.Request) -> web.Response:
    """Answer `GET /metrics` in the Prometheus text format, for all workers together.

    Raises:
        Refused: 401 or 403 for those who may not read details.
    """
    await check_details(request)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(request.app[HUB], await gather(request.app)))
    body = generate_latest(registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collected(Collector):
    """Collect statistics as metrics; those of the log are about this server's copy of it."""

    def __init__(self, hub: Hub, total: Statistics) -> None:
        self._hub = hub
        self._total = total

    def collect(self) -> Iterable[Metric]:
        """Return every metric."""
        total = self._total
        yield from self._by_transport()
        yield from self._by_producer()
        yield self._by_limit()
        yield from self._published_here()
        yield from self._log()
        yield _gauge("workers", "Worker processes in these statistics.", total.workers)
        yield _gauge("uptime_seconds", "Seconds since the server started.", total.uptime)
        yield _counter("cpu_seconds", "Seconds of CPU time.", total.cpu)
        yield _histogram("tick_lag_seconds", "How late producers' ticks ran.", total.tick_lag)
        yield _counter("ticks_skipped", "Ticks skipped, late by whole periods.", total.skipped)
        yield _histogram("loop_lag_seconds", "Seconds by which the event loop was late.", total.loop_lag)

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
        for name, about in _PRODUCER_COUNTERS.items():
            family = CounterMetricFamily(
                f"rtdemo_producer_{name}", about, labels=["producer", "plugin", "transports"]
            )
            for producer in self._total.producers:
                transports = "+".join(producer.transports)
                labels = [producer.name, producer.plugin, transports]
                family.add_metric(labels, getattr(producer, name))
            yield family

    def _by_limit(self) -> Metric:
        about = "Requests, connections and texts that a limit refused."
        family = CounterMetricFamily("rtdemo_refused", about, labels=["limit"])
        for limit, count in sorted(self._total.refused.items()):
            family.add_metric([limit], count)
        return family

    def _published_here(self) -> Iterable[Metric]:
        counts = self._total.published_here
        about = "Messages of rtdemo.publish in the server's own process, by what became of them."
        family = CounterMetricFamily("rtdemo_published_here", about, labels=["result"])
        for result in ("accepted", "dropped", "refused"):
            family.add_metric([result], getattr(counts, result))
        yield family
        yield _gauge("published_here_waiting", "Such messages that wait for the log.", counts.waiting)
        yield _counter("published_here_nulls", "NaNs and infinities in them, now null.", counts.nulls)

    def _log(self) -> Iterable[Metric]:
        engine, total = self._hub.engine, self._total
        state = GaugeMetricFamily(
            "rtdemo_engine_ready", "1 while shared messages can be published, else 0.", labels=["engine"]
        )
        state.add_metric([engine.name], float(engine.state == "ready"))
        yield state
        yield _gauge("log_messages", "Shared messages in the log.", len(engine.log))
        yield _gauge("log_bytes", "Bytes of shared messages in the log.", engine.log.bytes)
        yield _gauge("leading", "1 if the shared producers run here, else 0.", float(total.leading))
        yield _counter("unpublished", "Shared messages that the engine did not take.", total.unpublished)
        about = "Seconds from a publication to its position in the log."
        yield _histogram("publish_seconds", about, total.publish)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rtdemo_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"rtdemo_{name}", about, value=value)


def _histogram(name: str, about: str, histogram: Histogram) -> Metric:
    buckets = [(str(bound), float(count)) for bound, count in histogram.cumulative(BUCKET_BOUNDS_S)]
    buckets.append(("+Inf", float(histogram.count)))
    return HistogramMetricFamily(f"rtdemo_{name}", about, buckets=buckets, sum_value=histogram.total)

"""Tell whether the two transports were measured under the same conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rtdemo.lab.bench.metrics import MAX_OTHER_CORES
from rtdemo.lab.bench.result import ParityCheck, ParityState, Round, Run
from rtdemo.lab.bench.target import ServerInfo
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.timing.histogram import merged

PAYLOAD_TOLERANCE = 0.1
"""Share by which the mean JSON of a message may differ: `WebSocket Message 5` is longer than SSE's."""
PERIOD_TOLERANCE = 0.001
_Fact = Callable[[ConnectionInfo], object]
_CONNECTION_CHECKS: Mapping[str, tuple[_Fact, Callable[[ConnectionInfo], str]]] = {
    "TCP_NODELAY": (lambda r: r.no_delay, lambda r: {True: "on", False: "off", None: "?"}[r.no_delay]),
    "compression": (lambda r: r.compression, lambda r: r.compression or "none"),
    "HTTP version": (
        lambda r: (r.http, r.tls),
        lambda r: f"HTTP/{r.http}{' over TLS' if r.tls else ''}",
    ),
    "proxy": (lambda r: r.forwarding, lambda r: ", ".join(r.forwarding) or "none seen"),
}


def check_parity(
    server_info: ServerInfo,
    routes: Mapping[Transport, ConnectionInfo | None],
    rounds: Mapping[Transport, Sequence[Round]],
) -> list[ParityCheck]:
    """Return the lines; none where there is nothing to compare.

    Arguments:
        offered: what the server has.
        routes: of one connection of each transport.
        rounds: what each transport showed.
    """
    if len(rounds) < 2:
        return []
    lines = [_process(server_info, routes), _payload(rounds), _schedule(rounds)]
    return lines + [_same(name, routes) for name in _CONNECTION_CHECKS]


def _line(name: str, state: ParityState, words: Mapping[Transport, object] | str) -> ParityCheck:
    if not isinstance(words, str):
        told = {transport: str(word) for transport, word in words.items()}
        same = len(set(told.values())) == 1
        words = (
            next(iter(told.values()))
            if same
            else ", ".join(f"{LABELS[transport]} {word}" for transport, word in told.items())
        )
    return ParityCheck(name, state, words)


def _known(routes: Mapping[Transport, ConnectionInfo | None]) -> dict[Transport, ConnectionInfo]:
    return {transport: route for transport, route in routes.items() if route is not None}


def _untold(name: str) -> ParityCheck:
    return ParityCheck(name, "not told", "the server does not tell; rtdemo does with --probes")


def _process(server_info: ServerInfo, routes: Mapping[Transport, ConnectionInfo | None]) -> ParityCheck:
    name = "same process"
    known = _known(routes)
    if len(known) < 2:
        return _untold(name)
    if server_info.workers > 1:
        return ParityCheck(name, "not told", f"{server_info.workers} processes share the connections")
    places = {t: f"{r.server} process {r.process}".strip() for t, r in known.items()}
    return _line(name, "ok" if len(set(places.values())) == 1 else "failed", places)


def _payload(rounds: Mapping[Transport, Sequence[Round]]) -> ParityCheck:
    means = {}
    for transport, those in rounds.items():
        messages = sum(one.received.messages for one in those)
        if not messages:
            return ParityCheck("same payload", "not told", "nothing came")
        means[transport] = sum(one.received.payload_bytes for one in those) / messages
    apart = max(means.values()) / min(means.values()) - 1
    words = {transport: f"{mean:.0f} bytes" for transport, mean in means.items()}
    return _line("same payload", "ok" if apart <= PAYLOAD_TOLERANCE else "failed", words)


def _schedule(rounds: Mapping[Transport, Sequence[Round]]) -> ParityCheck:
    name = "same schedule"
    schedules = {t: _periods(those) for t, those in rounds.items()}
    words = {
        t: ", ".join(f"{producer} every {ms / 1000:g} s" for producer, ms in periods.items())
        for t, periods in schedules.items()
    }
    if not all(schedules.values()):
        return ParityCheck(name, "not told", "the messages have no period")
    first, *others = schedules.values()
    same = all(
        first.keys() == other.keys()
        and all(abs(first[p] - other[p]) <= first[p] * PERIOD_TOLERANCE for p in first)
        for other in others
    )
    return _line(name, "ok" if same else "failed", words)


def _periods(rounds: Sequence[Round]) -> dict[str, float]:
    return {name: ms for one in rounds for name, ms in sorted(one.figures.periods.items())}


def _same(name: str, routes: Mapping[Transport, ConnectionInfo | None]) -> ParityCheck:
    value, shown = _CONNECTION_CHECKS[name]
    known = _known(routes)
    if len(known) < 2:
        return _untold(name)
    values = [value(route) for route in known.values()]
    if None in values and name == "TCP_NODELAY":
        return ParityCheck(name, "not told", "the server cannot tell")
    same = all(one == values[0] for one in values)
    return _line(name, "ok" if same else "failed", {t: shown(route) for t, route in known.items()})


CLIENT_BUSY_SHARE = 0.85
"""Share of a core from which on a process that measures is late itself."""
NOT_RTDEMO = "no rtdemo"
MIN_CLIENT_LAG_S = 0.001
"""Seconds; less than that is not the client's fault."""


def note(run: Run) -> None:
    """Add the warnings that a run deserves, one line each."""
    for transport in run.transports:
        rounds = run.of(transport)
        found = Counter(words for one in rounds for words in _round_warnings(one))
        run.warnings += [
            f"{LABELS[transport]}: {words} (in {times} of {len(rounds)} rounds)"
            for words, times in found.items()
        ]
    names = sorted({name for one in run.rounds for name in one.figures.irregular})
    if names:
        shown = ", ".join(repr(name[:30]) for name in names[:5])
        run.notes.append(f"no due instants, since they come at no regular period: {shown}")
    if run.environment.server == NOT_RTDEMO and any(one.figures.periods for one in run.rounds):
        periods = {name: ms for one in run.rounds for name, ms in sorted(one.figures.periods.items())}
        shown = ", ".join(f"{name[:30]!r} {ms:.4g} ms" for name, ms in list(periods.items())[:5])
        run.notes.append(f"periods estimated from sentAt: {shown}")
    if any(one.clock_is_assumed and one.clock_error is None for one in run.rounds):
        run.notes.append(
            "one-way latency is not told: messages came before they were sent by this machine's clock,"
            " so that the server has another, and it has no /api/time"
        )
    if any(one.figures.whole for one in run.rounds):
        run.notes.append("sentAt has whole milliseconds: latencies are known to ± 0.5 ms at best")


def _round_warnings(one: Round) -> list[str]:
    found = []
    if any(cost.share > CLIENT_BUSY_SHARE for cost in one.costs):
        found.append(f"the client was the bottleneck, it used over {CLIENT_BUSY_SHARE:.0%} of a core")
    elif _is_late(one):
        found.append("the client was the bottleneck, its loop was late by a quarter of the p99")
    if one.others is not None and one.others > MAX_OTHER_CORES:
        found.append(f"other processes used over {MAX_OTHER_CORES:.0%} of a core meanwhile")
    if one.figures.mute:
        found.append(f"{one.figures.mute} of {one.connections} connections received nothing")
    for why, times in one.ended.items():
        found.append(f"{times} connections ended on the way: {why[:100]}")
    if one.unread:
        found.append("some messages were no JSON objects with `sentAt`, and are not measured")
    if one.left_out:
        found.append(f"{one.left_out} messages over the bound of a process are not measured")
    return found


def _is_late(one: Round) -> bool:
    lag = merged(cost.lag for cost in one.costs).percentile(99)
    p99 = merged(block.sent for block in one.figures.blocks).percentile(99)
    return lag is not None and p99 is not None and lag > MIN_CLIENT_LAG_S and lag > p99 / 4

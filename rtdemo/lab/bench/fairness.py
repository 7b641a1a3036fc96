"""Check that a run is fair: the same conditions for both transports, and nothing that disturbed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rtdemo.errors import printable
from rtdemo.lab.bench.metrics import MAX_OTHER_CORES
from rtdemo.lab.bench.result import Finding, ParityCheck, ParityState, Round, Run
from rtdemo.lab.bench.target import ServerInfo
from rtdemo.protocol.client import LABELS, Transport
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.timing.histogram import merged

NOT_RTDEMO = "not an rtdemo server"
PAYLOAD_TOLERANCE = 0.1
"""Share by which mean payload sizes may differ: `WebSocket Message 5` is longer than `SSE Message 5`."""
PERIOD_TOLERANCE = 0.001
"""Share by which periods may differ."""
CLIENT_BUSY_SHARE = 0.85
"""Share of a core from which a worker itself is late."""
MIN_CLIENT_LAG_S = 0.001
"""Less lag of a worker's loop does not matter."""
_MAX_NAME_LENGTH = 30
"""Of a producer, in notes."""
_MAX_REASON_LENGTH = 200
"""Of why a connection ended, in warnings."""
_OTHER_CLOCK = (
    "one-way latency is unknown: messages arrived before their sentAt on this machine's clock, so the"
    " server has another clock, and it has no /api/time"
)
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
"""Parity checks on the server's information about a connection: its value, and its text."""


def check_parity(
    server_info: ServerInfo,
    infos: Mapping[Transport, ConnectionInfo | None],
    rounds: Mapping[Transport, Sequence[Round]],
) -> list[ParityCheck]:
    """Return whether both transports were measured under the same conditions.

    Arguments:
        server_info: what the server reports about itself.
        infos: what the server reports about one connection of each transport.
        rounds: of each transport.

    Returns:
        One check for each condition; none for a single transport.
    """
    if len(rounds) < 2:
        return []
    checks = [_same_process(server_info, infos), _same_payload(rounds), _same_schedule(rounds)]
    return checks + [_same_connection(name, infos) for name in _CONNECTION_CHECKS]


def _check(name: str, state: ParityState, words: Mapping[Transport, object]) -> ParityCheck:
    """Return a check with one text if all transports have the same one, or a text for each."""
    texts = {transport: str(word) for transport, word in words.items()}
    if len(set(texts.values())) == 1:
        return ParityCheck(name, state, next(iter(texts.values())))
    each = ", ".join(f"{LABELS[transport]} {text}" for transport, text in texts.items())
    return ParityCheck(name, state, each)


def _known(infos: Mapping[Transport, ConnectionInfo | None]) -> dict[Transport, ConnectionInfo]:
    return {transport: info for transport, info in infos.items() if info is not None}


def _not_reported(name: str) -> ParityCheck:
    return ParityCheck(name, "unknown", "the server does not report it; rtdemo does with --probes")


def _same_process(
    server_info: ServerInfo, infos: Mapping[Transport, ConnectionInfo | None]
) -> ParityCheck:
    name = "same process"
    known = _known(infos)
    if len(known) < 2:
        return _not_reported(name)
    if server_info.workers > 1:
        words = f"{server_info.workers} processes share the connections"
        return ParityCheck(name, "unknown", words)
    places = {t: f"{info.server} process {info.process}".strip() for t, info in known.items()}
    return _check(name, "ok" if len(set(places.values())) == 1 else "failed", places)


def _same_payload(rounds: Mapping[Transport, Sequence[Round]]) -> ParityCheck:
    name = "same payload"
    means = {}
    for transport, those in rounds.items():
        messages = sum(one.received.messages for one in those)
        if not messages:
            return ParityCheck(name, "unknown", "no message arrived")
        means[transport] = sum(one.received.payload_bytes for one in those) / messages
    apart = max(means.values()) / min(means.values()) - 1
    words = {transport: f"{mean:.0f} bytes" for transport, mean in means.items()}
    return _check(name, "ok" if apart <= PAYLOAD_TOLERANCE else "failed", words)


def _same_schedule(rounds: Mapping[Transport, Sequence[Round]]) -> ParityCheck:
    name = "same schedule"
    schedules = {t: _periods(those) for t, those in rounds.items()}
    words = {
        t: ", ".join(f"{producer} every {ms / 1000:g} s" for producer, ms in periods.items())
        for t, periods in schedules.items()
    }
    if not all(schedules.values()):
        return ParityCheck(name, "unknown", "the messages have no period")
    first, *others = schedules.values()
    same = all(
        first.keys() == other.keys()
        and all(abs(first[p] - other[p]) <= first[p] * PERIOD_TOLERANCE for p in first)
        for other in others
    )
    return _check(name, "ok" if same else "failed", words)


def _periods(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the period of each producer in milliseconds."""
    return {name: ms for one in rounds for name, ms in sorted(one.figures.periods.items())}


def _same_connection(name: str, infos: Mapping[Transport, ConnectionInfo | None]) -> ParityCheck:
    value, shown = _CONNECTION_CHECKS[name]
    known = _known(infos)
    if len(known) < 2:
        return _not_reported(name)
    values = [value(info) for info in known.values()]
    if None in values and name == "TCP_NODELAY":
        return ParityCheck(name, "unknown", "the server cannot determine it")
    same = all(one == values[0] for one in values)
    return _check(name, "ok" if same else "failed", {t: shown(info) for t, info in known.items()})


def add_warnings(run: Run) -> None:
    """Add to a run its warnings and the notes on its figures."""
    for transport in run.transports:
        rounds = run.of(transport)
        found = Counter(finding for one in rounds for finding in _round_warnings(one))
        for finding, times in found.items():
            words = f"{LABELS[transport]}: {finding.text} (in {times} of {len(rounds)} rounds)"
            run.warnings.append(Finding(finding.code, words))
    names = sorted({name for one in run.rounds for name in one.figures.irregular})
    if names:
        shown = ", ".join(_quote(name) for name in names[:5])
        text = f"no due times for messages without a regular period: {shown}"
        run.notes.append(Finding("no-due-times", text))
    periods = _periods(run.rounds)
    if run.environment.server == NOT_RTDEMO and periods:
        each = [f"{_quote(name)} {ms:.4g} ms" for name, ms in periods.items()]
        text = f"periods estimated from sentAt: {', '.join(each[:5])}"
        run.notes.append(Finding("periods-estimated", text))
    if any(one.clock_is_assumed and one.clock_error is None for one in run.rounds):
        run.notes.append(Finding("clock-unknown", _OTHER_CLOCK))
    if any(one.figures.whole for one in run.rounds):
        text = "sentAt has whole milliseconds: latencies are accurate to ± 0.5 ms at best"
        run.notes.append(Finding("whole-milliseconds", text))


def _quote(name: str) -> str:
    return printable(repr(name[:_MAX_NAME_LENGTH]))


def _round_warnings(one: Round) -> list[Finding]:
    found = []
    if any(cost.share > CLIENT_BUSY_SHARE for cost in one.costs):
        text = f"the client was the bottleneck, because it used over {CLIENT_BUSY_SHARE:.0%} of a core"
        found.append(Finding("client-busy", text))
    elif _is_late(one):
        text = "the client was the bottleneck, because its loop was late by over a quarter of p99"
        found.append(Finding("client-late", text))
    if one.others is not None and one.others > MAX_OTHER_CORES:
        text = f"other processes used over {MAX_OTHER_CORES:.0%} of a core"
        found.append(Finding("machine-busy", text))
    if one.figures.mute:
        text = f"{one.figures.mute} of {one.connections} connections received nothing"
        found.append(Finding("connections-silent", text))
    for why, times in one.ended.items():
        text = f"{times} connections ended early: {printable(why[:_MAX_REASON_LENGTH])}"
        found.append(Finding("connections-ended", text))
    if one.unread and one.figures.messages > one.figures.untimed:
        text = "some messages were not JSON objects with `sentAt`; their latency was not measured"
        found.append(Finding("messages-untimed", text))
    if one.left_out:
        text = f"{one.left_out} messages were not measured: over the limit of a worker"
        found.append(Finding("messages-left-out", text))
    return found


def _is_late(one: Round) -> bool:
    if one.received.stamped >= one.received.messages:
        return False
    lag = merged(cost.lag for cost in one.costs).percentile(99)
    p99 = merged(block.sent for block in one.figures.blocks).percentile(99)
    return lag is not None and p99 is not None and lag > MIN_CLIENT_LAG_S and lag > p99 / 4

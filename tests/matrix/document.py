"""docs/proxies.md, and lines about facts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.matrix.facts import Facts
from tests.matrix.proxies import PROXIES

if TYPE_CHECKING:
    from tests.matrix.examination import Outcome

WIDTH = 120
PATH = Path(__file__).parents[2] / "docs" / "proxies.md"


class Chapter(NamedTuple):
    """What the page says about one proxy.

    Arguments:
        title: its name.
        kinds: of its programs, whose versions are named.
        default: name of the set-up without any directive for streams.
        right: name of the set-up in which everything is right.
        place: where its directives belong.
        notes: what is worth to know, in a sentence each.
        lines: directives of `right`; None for those of the proxy.
    """

    title: str
    kinds: tuple[str, ...]
    default: str
    right: str
    place: str
    notes: tuple[str, ...]
    lines: tuple[str, ...] | None = None


CHAPTERS = (
    Chapter(
        "nginx",
        ("nginx", "nginx-new"),
        "nginx: only proxy_pass",
        "nginx: right",
        "In the `location` with `proxy_pass`",
        (
            "`$connection_upgrade` needs a `map`: see [deploy/nginx.conf](../deploy/nginx.conf).",
            "From version 1.29.7 on, `proxy_http_version 1.1` is the default.",
            "Events reach clients at once by default, because rtdemo sends `X-Accel-Buffering: no`. "
            "`proxy_buffering off` is for configurations that ignore this header.",
            "With several servers, add `hash $remote_addr consistent;` to `upstream`.",
        ),
    ),
    Chapter(
        "HAProxy",
        ("haproxy",),
        "HAProxy: timeouts of Debian",
        "HAProxy: right",
        "In `defaults`",
        (
            "Without `option http-no-delay`, each event arrives 200 ms late.",
            "Without `timeout tunnel`, the client's and the server's timeouts apply to WebSockets.",
            "It accepts WebSockets over HTTP/2 (RFC 8441).",
            "It adds no sign of itself to answers. doctor recognises it by header names in lower case.",
            "With several servers, add a cookie: see [deploy/haproxy.cfg](../deploy/haproxy.cfg).",
        ),
    ),
    Chapter(
        "Caddy",
        ("caddy", "caddy-new"),
        "Caddy 2.6: defaults",
        "Caddy TLS: defaults",
        "Nothing is needed",
        (
            "`encode` leaves event streams of rtdemo as they are.",
            "`stream_timeout` cuts WebSockets by their age, busy or not.",
        ),
        ("reverse_proxy 127.0.0.1:3000",),
    ),
    Chapter(
        "Apache",
        ("apache",),
        "Apache: only ProxyPass",
        "Apache: right",
        "In the `VirtualHost`",
        (
            "`upgrade=websocket` needs Apache 2.4.47 and mod_proxy_http.",
            "It adds `X-Forwarded-For` by itself.",
        ),
    ),
    Chapter(
        "Envoy",
        ("envoy",),
        "Envoy: only a route",
        "Envoy: right",
        "In the route and in the HTTP connection manager (`KEY=JSON`)",
        (
            "Its default `route.timeout` of 15 s cuts event streams by their age, busy or not.",
            "It refuses WebSockets with 403 unless `upgrade_configs` allows them.",
        ),
    ),
    Chapter(
        "h2o",
        ("h2o",),
        "h2o: only a URL",
        "h2o TLS: right",
        "At the top, or for the host",
        ("It cuts silent streams after 30 s by default.",),
    ),
    Chapter(
        "nghttpx",
        ("nghttpx",),
        "nghttpx: only addresses",
        "nghttpx TLS: right",
        "In its configuration file",
        ("It passes WebSockets by default, over HTTP/2 too (RFC 8441).",),
    ),
    Chapter(
        "Varnish",
        ("varnish",),
        "Varnish: only a backend",
        "Varnish: right",
        "In `vcl_recv`; in `vcl_pipe` what follows `pipe:`; `-p` on the command line",
        ("It ends no TLS; another proxy before it does.",),
    ),
    Chapter(
        "lighttpd",
        ("lighttpd",),
        "lighttpd: only proxy.server",
        "lighttpd: right",
        "Beside `proxy.server`",
        ("By default it stores each answer until its end, so no event arrives.",),
    ),
    Chapter(
        "Squid",
        ("squid",),
        "Squid: only accel",
        "Squid: right",
        "In squid.conf, as a reverse proxy (`http_port … accel vhost`)",
        (),
    ),
    Chapter(
        "Traefik",
        ("traefik",),
        "Traefik: defaults",
        "Traefik TLS: defaults",
        "Nothing is needed",
        (),
        (),
    ),
)
COLUMNS = (
    *("proxy", "events of 100 B, 6 KB, 64 KiB", "a silent stream is cut after", "WebSocket"),
    *("a silent one is cut after", "client's address", "to the server"),
)


def write(outcomes: Sequence[Outcome]) -> None:
    """Write docs/proxies.md.

    Arguments:
        outcomes: of a full run.
    """
    by_name = {outcome.setup.name: outcome for outcome in outcomes}
    PATH.write_text("\n".join(_lines(by_name, outcomes)) + "\n")


def _lines(by_name: Mapping[str, Outcome], outcomes: Sequence[Outcome]) -> Iterator[str]:
    month = f"{datetime.now(UTC):%Y-%m-%d}"
    yield "# Proxies"
    yield ""
    yield "What each proxy does to event streams and WebSockets, and the directives that make it right."
    yield f"Each figure was measured on {month} with the real program, by clients that rtdemo does not"
    yield "use (httpx, websockets, h2). `make matrix` repeats it and writes this page."
    yield ""
    yield "To examine your own proxy, run [`rtdemo doctor`](doctor.md)."
    yield ""
    yield "## Without configuration"
    yield ""
    yield "Only what forwards requests is configured."
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for chapter in CHAPTERS:
        if chapter.default in by_name:
            yield _row(f"{chapter.title} {_version(chapter.kinds[0])}", by_name[chapter.default])
    yield ""
    yield "A silence of rtdemo lasts 15 s at most on an event stream, and 25 s on a WebSocket."
    for chapter in CHAPTERS:
        yield from _chapter(chapter, by_name)
    yield from _all_setups(outcomes)


def _version(kind: str) -> str:
    return PROXIES[kind].installed_version()


def _row(title: str, outcome: Outcome) -> str:
    facts = outcome.facts
    stream, socket = facts.sse["1.1"], facts.ws["1.1"]
    cells = [
        title,
        _events(facts, "1.1"),
        _cut(stream.silent_cut_s or stream.busy_cut_s, outcome.setup.idle_s),
        "opens" if socket.is_open else f"does not open ({socket.status})",
        _cut(socket.silent_cut_s, outcome.setup.idle_s) if socket.is_open else "",
        "passed on" if facts.arrived.get("address") else "lost",
        f"HTTP/{facts.arrived.get('version')}"
        + ("" if facts.arrived.get("host") == facts.host else ", other `Host`"),
    ]
    return f"| {' | '.join(cells)} |"


def _events(facts: Facts, version: str) -> str:
    stream = facts.sse[version]
    if any(event.released == "end" for event in stream.events):
        return "wait for the end of the stream"
    held = sorted(set(stream.held))
    if held:
        return f"of {held[0]} B and more wait for the next one"
    if stream.clump_ms > 35:
        return f"{stream.clump_ms:.0f} ms late"
    return "at once" + (f", compressed ({stream.encoding})" if stream.encoding else "")


def _cut(seconds: float | None, watched: int) -> str:
    return f"{seconds:.0f} s" if seconds else f"not in {watched} s"


def _chapter(chapter: Chapter, by_name: Mapping[str, Outcome]) -> Iterator[str]:
    versions = " and ".join(_version(kind) for kind in chapter.kinds)
    yield ""
    yield f"## {chapter.title}"
    yield ""
    yield f"Version {versions}. {chapter.place}:"
    lines = PROXIES[chapter.kinds[0]].right if chapter.lines is None else chapter.lines
    if lines:
        yield ""
        yield "```text"
        yield from lines
        yield "```"
    outcome = by_name.get(chapter.right)
    if outcome is not None:
        facts = outcome.facts
        over = " and ".join(f"HTTP/{version}" for version in facts.sse)
        socket = facts.ws["1.1"]
        yield ""
        yield (
            f"With it, over {over}: events arrive {_events(facts, next(iter(facts.sse)))}, a WebSocket "
            f"{'opens' if socket.is_open else 'does not open'}, and a text of 64 KiB "
            f"{'comes back' if socket.is_large_echoed else 'does not come back'}."
        )
    if chapter.notes:
        yield ""
        for note in chapter.notes:
            yield from textwrap.wrap(f"- {note}", WIDTH, subsequent_indent="  ")


def _all_setups(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield ""
    yield "## All set-ups"
    yield ""
    yield f"{len(outcomes)} set-ups, and the codes that `rtdemo doctor --json` reports for them."
    yield "*Applied*: a program put the directives that doctor printed into the configuration, and the"
    yield "fault was gone."
    yield ""
    yield "| set-up | doctor | applied |"
    yield "|---|---|---|"
    for outcome in outcomes:
        faults = [c for c in outcome.report.get("checks", ()) if c["verdict"] in ("warn", "fail")]
        codes = ", ".join(dict.fromkeys(f"`{check['code']}`" for check in faults)) or "all ok"
        if outcome.error or outcome.unlike:
            codes = "not examined"
        applied = "<br>".join(f"`{line}`" for line in outcome.applied) if outcome.fixed else ""
        yield f"| {outcome.setup.name} | {codes} | {applied} |"


def facts_lines(facts: Facts) -> list[str]:
    """Return facts in a few lines."""
    lines = []
    for version, stream in facts.sse.items():
        events = " ".join(
            f"{event.size}:{event.delay_ms}{'H' + event.released if event.is_held else ''}"
            for event in stream.events
        )
        lines.append(
            f"    sse/{version} {stream.status} {stream.encoding or '-'} [{events}] "
            f"clump={stream.clump_ms} rate={stream.bytes_per_s:.0f} streams={stream.streams} "
            f"silent={stream.silent_cut_s} lost={stream.silent_lost} busy={stream.busy_cut_s} "
            f"cached={stream.is_cached} {stream.error[:120]!r}"
        )
    for version, socket in facts.ws.items():
        lines.append(f"    ws/{version} {socket}")
    lines.append(
        f"    tls={facts.certificate or 'ok'} alpn={facts.alpn} {facts.arrived} post={facts.post} "
        f"large={facts.large_post} burst={facts.burst} rtt={facts.round_trip_ms} "
        f"origins={facts.own_origin}/{facts.foreign_origin} page={facts.page}/{facts.script}"
    )
    return lines

"""The judge of the matrix finds what is wrong with a report, and fixes get into configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.matrix import fixing, judge
from tests.matrix.facts import EventFact, Facts, SocketFacts, StreamFacts
from tests.matrix.proxies import PROXIES
from tests.matrix.setup import Setup
from tests.matrix.table import SETUPS

EVENT_STREAM = {"content-type": "text/event-stream", "server": "nginx/1.22.1"}
BY_NAME = {setup.name: setup for setup in SETUPS}
GOOD = "`proxy_buffering off;`"


def stream(**changes: Any) -> StreamFacts:
    events = [EventFact(size, 0.5, 0.7, 0.7) for size in (100, 6144, 65536, 100)]
    return replace(StreamFacts(200, headers=EVENT_STREAM, events=events, streams=7), **changes)


def facts(**changes: Any) -> Facts:
    """Facts about a set-up in which everything is right."""
    arrived = {"version": "1.1", "host": "h", "address": True, "last-event-id": True, "origin": True}
    arrived |= {"upgrade": True, "subprotocol": True, "socket": True}
    sound = Facts(
        sse={"1.1": stream()},
        ws={"1.1": SocketFacts(status=101, subprotocol="rtdemo.probe", is_large_echoed=True)},
        arrived=arrived,
        host="h",
        post=[202, 202],
        large_post=202,
        burst={200: 30},
        own_origin=404,
        foreign_origin=403,
        page=200,
        script=200,
    )
    return replace(sound, **changes)


def held() -> Facts:
    events = [EventFact(100, 0.5, 0.7, 0.7), EventFact(6144, 0.5, 1300.0, 1290.0, "next")]
    return facts(sse={"1.1": stream(events=events)})


def check(code: str, seen: str = "", fix: str = "", **more: Any) -> dict[str, Any]:
    found = {"check": "SSE events", "verdict": "fail", "code": code, "http": ["1.1"], "figures": {}}
    return {**found, "seen": seen, "fix": fix, **more}


def complaints(name: str, measured: Facts, *checks: dict[str, Any]) -> list[str]:
    report = {"checks": list(checks), "proxies": ["nginx"]}
    found = judge.complaints(BY_NAME[name], measured, report)
    return [f"{complaint.kind}: {complaint.truth}" for complaint in found]


def test_right_report_has_no_complaint() -> None:
    """A fault with its line and its fix, or no fault and no line."""
    held_line = check("sse-held-until-next", "held", f"nginx: {GOOD}")
    assert complaints("nginx buffers", held(), held_line) == []
    assert complaints("nginx: right", facts()) == []


@pytest.mark.parametrize(
    ("measured", "checks", "complaint"),
    [
        (held(), [], "wrong: events of 6144 bytes are held"),
        (facts(), [check("sse-held-until-next", fix=f"nginx: {GOOD}")], "wrong: the facts show no"),
        (held(), [check("sse-held-until-end", fix=f"nginx: {GOOD}")], "wrong: the facts show no"),
        (held(), [check("sse-held-until-next", fix="`gzip off;`")], "misleading: nginx needs proxy_buf"),
        (held(), [check("sse-held-until-next", fix=f"HAProxy: {GOOD}")], "wrong: HAProxy is not on"),
        (
            held(),
            [check("sse-held-until-next", "<html>", f"nginx: {GOOD}")],
            "misleading: not for people",
        ),
    ],
    ids=["missed", "false alarm", "wrong kind", "wrong fix", "wrong proxy", "raw text"],
)
def test_judge_complains(measured: Facts, checks: list[dict[str, Any]], complaint: str) -> None:
    """Each way to be wrong or misleading is found."""
    found = complaints("nginx buffers", measured, *checks)
    assert any(one.startswith(complaint) for one in found), found


@pytest.mark.parametrize(("verdict", "could_run", "code"), [("warn", True, 0), ("fail", False, 2)])
def test_exit_code_is_judged(verdict: str, could_run: bool, code: int) -> None:
    """A script reads nothing else."""
    line = check("sse-held-until-next", "held", f"nginx: {GOOD}", verdict=verdict)
    report = {"checks": [line], "proxies": ["nginx"], "couldRun": could_run, "exitCode": 1}
    found = [str(one.truth) for one in judge.complaints(BY_NAME["nginx buffers"], held(), report)]
    assert found == [f"it has to be {code}"]


def test_figure_must_be_near_the_truth() -> None:
    """A limit may differ by two seconds."""
    cut = facts(sse={"1.1": stream(silent_cut_s=5.0)})
    fix = "nginx: `proxy_read_timeout 60s;`"
    for after, is_right in ((5.9, True), (9.0, False)):
        line = check("sse-idle-cut", fix=fix, figures={"afterS": after})
        assert (complaints("nginx reads for 5 s", cut, line) == []) is is_right


def test_one_fix_for_one_cause() -> None:
    """The same fix under two lines of a transport is a complaint; one time limit cuts both of them."""
    line = check("sse-held-until-next", "held", f"nginx: {GOOD}")
    again = {**line, "check": "SSE latency", "code": "latency-sse-slower"}
    assert any("one cause" in one for one in complaints("nginx buffers", held(), line, again))


@pytest.mark.parametrize(
    ("name", "fix", "changes"),
    [
        ("nginx buffers", f"nginx: {GOOD}", ("proxy_buffering off;", "- proxy_buffering on;")),
        (
            "nginx removes Origin",
            "nginx: remove `proxy_set_header Origin`",
            ('- proxy_set_header Origin "";',),
        ),
        (
            "nginx, 2 servers, Redis",
            "nginx: in the upstream block: `ip_hash;`",
            ("upstream: ip_hash;",),
        ),
        (
            "Apache: only ProxyPass",
            "Apache: add `upgrade=websocket` to `ProxyPass` (Apache 2.4.47 or later)",
            ("ProxyPass / http://SERVER/ upgrade=websocket", "- ProxyPass / http://SERVER/"),
        ),
        (
            "Envoy: only a route",
            "Envoy: `timeout: 0s` in the route; remove `max_stream_duration`",
            ('route.timeout="0s"',),
        ),
        (
            "HAProxy TLS, nginx buffers",
            f"in the proxy that causes it: HAProxy: `option http-no-delay`; nginx: {GOOD}",
            ("proxy_buffering off;", "- proxy_buffering on;"),
        ),
        ("nginx buffers", f"Caddy: {GOOD}", None),
    ],
)
def test_fix_is_applied(name: str, fix: str, changes: tuple[str, ...] | None) -> None:
    """Directives of a fix replace or remove lines of the proxy that they are for."""
    setup: Setup = BY_NAME[name]
    fixed = fixing.apply(setup, {"checks": [check("sse-held-until-next", fix=fix)]})
    assert (fixed and fixed.changes) == changes


def test_table_of_set_ups_is_sound() -> None:
    """Names are unique, faults are known, and each proxy stands before a sound server once."""
    assert len(BY_NAME) == len(SETUPS)
    assert {fault for setup in SETUPS for fault in setup.fault} <= set(judge.FAULTS)
    assert set(judge.CURED_BY) <= set(judge.FAULTS)
    sound = {hop.kind for setup in SETUPS if not setup.fault for hop in setup.hops}
    assert set(PROXIES) <= sound

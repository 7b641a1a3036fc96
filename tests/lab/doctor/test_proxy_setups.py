"""`rtdemo doctor` behind real proxies: each verdict is right, and each printed fix works."""

from __future__ import annotations

import re

import pytest

from tests.lab.doctor import conftest, proxies
from tests.lab.doctor.doctor_run import Findings
from tests.system_packages import require

# The first test runs all examinations, and doctor records again on a busy machine.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]
OK: dict[str, str] = {}
NO_WEBSOCKET = {
    "WebSocket upgrade": "fail ws-upgrade-removed",
    "WebSocket offers": "skip not-judged",
    "WebSocket events": "skip not-judged",
    "WebSocket 64 KiB": "skip not-judged",
    "WebSocket idle": "skip not-judged",
    "WebSocket age": "skip not-judged",
    "WebSocket resume": "skip not-judged",
    "WebSocket latency": "skip not-judged",
}
NO_STREAM = {
    "SSE first byte": "skip not-judged",
    "SSE compression": "skip not-judged",
    "SSE caching": "skip not-judged",
    "SSE seven streams": "skip not-judged",
    "SSE POST": "skip not-judged",
    "SSE idle": "skip not-judged",
    "SSE age": "skip not-judged",
    "SSE resume": "skip not-judged",
    "SSE latency": "skip not-judged",
}
EXPECTED = {
    "": OK,
    "nginx_default.conf": NO_WEBSOCKET
    | {
        "HTTP version": "warn http10-upstream",
        "headers": "fail host-rewritten",
        "origin rule": "skip not-judged",
    },
    "nginx_buffering.conf": NO_STREAM | {"SSE events": "fail sse-compressed"},
    "nginx_gzip.conf": {"SSE compression": "warn sse-compressed"},
    "nginx_read_timeout.conf": {"SSE idle": "fail sse-idle-cut", "WebSocket idle": "fail ws-idle-cut"},
    "nginx_no_upgrade.conf": NO_WEBSOCKET,
    # Its timeout for the client does not apply while it sends a response, as on an event stream.
    "haproxy_client_timeout.cfg": {
        "WebSocket idle": "fail ws-idle-cut",
        "SSE events": "warn sse-clumped",
        "SSE latency": "skip not-judged",
    },
    "haproxy_well_set.cfg": OK,
}
"""The verdicts and codes of each set-up that are not ok."""
# The limit of both is 5 s, to which a busy machine adds.
SEEN = {
    ("nginx_default.conf", "HTTP version"): "HTTP/1.0 on arrival",
    (
        "nginx_default.conf",
        "WebSocket upgrade",
    ): "426 instead of 101: the headers Upgrade",
    ("nginx_default.conf", "headers"): "Host rewritten to '127.0.0.1:.*; so rtdemo refuses its own page",
    ("nginx_default.conf", "server"): "rtdemo behind nginx",
    ("nginx_buffering.conf", "SSE events"): "compressed with gzip, and all events are held back until",
    ("nginx_gzip.conf", "SSE compression"): "gzip, .*; the events arrive at once",
    (
        "nginx_read_timeout.conf",
        "SSE idle",
    ): r"cut after [4-9]\.\d s of silence; rtdemo sends a comment every 6 s",
    (
        "nginx_read_timeout.conf",
        "WebSocket idle",
    ): r"cut after [4-9]\.\d s of silence; rtdemo sends a ping every 6 s",
    (
        "haproxy_client_timeout.cfg",
        "WebSocket idle",
    ): r"cut after [4-9]\.\d s of silence; rtdemo sends a ping every 6 s",
    ("haproxy_client_timeout.cfg", "server"): "rtdemo behind HAProxy",
    # HAProxy holds each back for 200 ms, to which a busy machine adds.
    ("haproxy_client_timeout.cfg", "SSE events"): r"each small message arrives [2-9]\d\d ms late",
    ("haproxy_well_set.cfg", "server"): "rtdemo behind HAProxy",
    ("", "server"): "no proxy detected",
    ("", "SSE age"): r"open for the whole run of \d+ s",
    ("", "SSE events"): "events of 100 B, 6 KiB and 64 KiB arrive when they are sent",
    ("", "SSE resume"): "received exactly those",
    ("", "WebSocket resume"): "received exactly those",
}

FindingsBeforeAndAfter = dict[str, tuple[Findings, Findings]]


@pytest.fixture
def checked(setups_findings: FindingsBeforeAndAfter, setup: str) -> FindingsBeforeAndAfter:
    if setup:
        require(proxies.program(setup))
    return setups_findings


def test_every_set_up_has_expected_verdicts() -> None:
    assert set(EXPECTED) == set(conftest.SETUPS)


def faults(findings: Findings) -> dict[str, str]:
    return {
        name: f"{result.verdict} {result.code}"
        for name, result in findings.items()
        if result.verdict != "ok"
    }


@pytest.mark.parametrize("setup", EXPECTED)
def test_verdicts_are_right(checked: FindingsBeforeAndAfter, setup: str) -> None:
    """Every fault is reported, and no other."""
    before, _ = checked[setup]
    assert faults(before) == EXPECTED[setup], before
    assert len(before) == 26


@pytest.mark.parametrize("setup", [name for name, expected in EXPECTED.items() if expected])
def test_printed_fixes_work(checked: FindingsBeforeAndAfter, setup: str) -> None:
    """With the printed directives as the only change, every check is ok."""
    before, after = checked[setup]
    assert all(result.fix for result in before.values() if result.verdict in ("warn", "fail"))
    assert faults(after) == {}, after


@pytest.mark.parametrize(("setup", "check"), SEEN)
def test_finding_describes_what_was_seen(
    checked: FindingsBeforeAndAfter, setup: str, check: str
) -> None:
    """The finding includes its figures."""
    assert re.search(SEEN[setup, check], checked[setup][0][check].seen)

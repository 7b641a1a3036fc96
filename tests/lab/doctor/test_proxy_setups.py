"""`rtdemo doctor` behind real proxies: each verdict is right, and each printed fix works."""

from __future__ import annotations

import re

import pytest

from tests.lab.doctor import conftest, proxies
from tests.lab.doctor.doctor_run import Findings
from tests.system_packages import require

pytestmark = [pytest.mark.alone, pytest.mark.no_cover]
OK: dict[str, str] = {}
NO_WEBSOCKET = {
    "WebSocket upgrade": "fail",
    "WebSocket offers": "warn",
    "WebSocket 64 KiB": "warn",
    "WebSocket idle cut": "warn",
    "WebSocket life": "warn",
    "WebSocket resume": "warn",
    "WebSocket latency": "warn",
}
EXPECTED = {
    "": OK,
    "nginx_default.conf": NO_WEBSOCKET
    | {"HTTP version": "warn", "headers": "warn", "origin rule": "fail"},
    "nginx_buffering.conf": {
        "SSE first byte": "fail",
        "SSE buffering": "fail",
        "SSE compression": "warn",
        "SSE seven streams": "fail",
        "SSE life": "fail",
        "SSE resume": "fail",
        "SSE latency": "fail",
    },
    "nginx_gzip.conf": {"SSE compression": "warn"},
    "nginx_read_timeout.conf": {"SSE idle cut": "fail", "WebSocket idle cut": "fail"},
    "nginx_no_upgrade.conf": NO_WEBSOCKET,
    # Its timeout for the client does not apply while it sends a response, as on an event stream.
    "haproxy_client_timeout.cfg": {
        "WebSocket idle cut": "fail",
        "SSE buffering": "warn",
        "SSE latency": "warn",
    },
    "haproxy_well_set.cfg": OK,
}
"""The verdicts of each set-up that are not ok."""
SEEN = {
    ("nginx_default.conf", "HTTP version"): "HTTP/1.0 on arrival",
    (
        "nginx_default.conf",
        "WebSocket upgrade",
    ): "426 Upgrade Required instead of 101: this address accepts only WebSocket",
    ("nginx_default.conf", "headers"): "Host rewritten to '127.0.0.1:",
    ("nginx_default.conf", "server"): "rtdemo behind nginx",
    ("nginx_buffering.conf", "SSE first byte"): "held back for 2.* s, until the first event",
    ("nginx_buffering.conf", "SSE buffering"): r"[1-5] were held back, for up to \d{3,4} ms",
    ("nginx_gzip.conf", "SSE compression"): "gzip",
    (
        "nginx_read_timeout.conf",
        "SSE idle cut",
    ): r"cut after [45]\.\d s of silence; rtdemo sends a heartbeat every 6 s",
    (
        "nginx_read_timeout.conf",
        "WebSocket idle cut",
    ): r"cut after [45]\.\d s of silence; rtdemo sends a heartbeat every 6 s",
    (
        "haproxy_client_timeout.cfg",
        "WebSocket idle cut",
    ): r"cut after [45]\.\d s of silence; rtdemo sends a heartbeat every 6 s",
    ("haproxy_client_timeout.cfg", "server"): "rtdemo behind HAProxy",
    ("haproxy_client_timeout.cfg", "SSE buffering"): r"[1-5] were held back, for up to 2\d\d ms",
    ("haproxy_well_set.cfg", "server"): "rtdemo behind HAProxy",
    ("", "server"): "no proxy detected",
    ("", "SSE life"): r"open for the whole run of \d+ s",
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
    return {name: result.verdict for name, result in findings.items() if result.verdict != "ok"}


@pytest.mark.parametrize("setup", EXPECTED)
def test_verdicts_are_right(checked: FindingsBeforeAndAfter, setup: str) -> None:
    """Every fault is reported, and no other."""
    before, _ = checked[setup]
    assert faults(before) == EXPECTED[setup], before
    assert len(before) == 24


@pytest.mark.parametrize("setup", [name for name, expected in EXPECTED.items() if expected])
def test_printed_fixes_work(checked: FindingsBeforeAndAfter, setup: str) -> None:
    """With the printed directives as the only change, every check is ok."""
    before, after = checked[setup]
    without = [n for n, r in before.items() if r.verdict != "ok" and not r.fix]
    assert all("not tested" in before[name].seen for name in without)
    assert faults(after) == {}, after


@pytest.mark.parametrize(("setup", "check"), SEEN)
def test_finding_describes_what_was_seen(
    checked: FindingsBeforeAndAfter, setup: str, check: str
) -> None:
    """The finding includes its figures."""
    assert re.search(SEEN[setup, check], checked[setup][0][check].seen)

"""`rtdemo doctor` on real set-ups: each verdict is right, and each fix that it prints mends."""

from __future__ import annotations

import re

import pytest

from tests.lab.doctor import conftest, proxies
from tests.lab.doctor.doctor_run import Findings
from tests.system_packages import require

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
WANTED = {
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
    # Its idle limit of the client's side does not hold while it answers, as on an event stream.
    "haproxy_client_timeout.cfg": {
        "WebSocket idle cut": "fail",
        "SSE buffering": "warn",
        "SSE latency": "warn",
    },
    "haproxy_well_set.cfg": OK,
}
"""What each set-up has to be told, with its verdict; everything else is ok."""
SEEN = {
    ("nginx_default.conf", "HTTP version"): "HTTP/1.0 on arrival",
    ("nginx_default.conf", "WebSocket upgrade"): "426 Upgrade Required instead of 101: only WebSocket",
    ("nginx_default.conf", "headers"): "Host rewritten to '127.0.0.1:",
    ("nginx_default.conf", "server"): "rtdemo behind nginx",
    ("nginx_buffering.conf", "SSE first byte"): "held back for 2.* s, until the first event",
    ("nginx_buffering.conf", "SSE buffering"): r"[1-5] were held back, for up to \d+ ms",
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

Tried = dict[str, tuple[Findings, Findings]]


@pytest.fixture
def tried(setups_findings: Tried, setup: str) -> Tried:
    if setup:
        require(proxies.program(setup))
    return setups_findings


def test_each_set_up_is_told_of() -> None:
    assert set(WANTED) == set(conftest.SETUPS)


def faults(findings: Findings) -> dict[str, str]:
    return {name: result.verdict for name, result in findings.items() if result.verdict != "ok"}


@pytest.mark.parametrize("setup", WANTED)
def test_verdicts_are_right(tried: Tried, setup: str) -> None:
    """Every fault is told, and none that is not there."""
    before, _ = tried[setup]
    assert faults(before) == WANTED[setup], before
    assert len(before) == 24


@pytest.mark.parametrize("setup", [name for name, wanted in WANTED.items() if wanted])
def test_fixes_mend(tried: Tried, setup: str) -> None:
    """With the directives that were printed, and nothing else changed, all is well."""
    before, after = tried[setup]
    without = [n for n, r in before.items() if r.verdict != "ok" and not r.fix]
    assert all("not tested" in before[name].seen for name in without)
    assert faults(after) == {}, after


@pytest.mark.parametrize(("setup", "check"), SEEN)
def test_what_was_seen_is_told(tried: Tried, setup: str, check: str) -> None:
    """With its figures."""
    assert re.search(SEEN[setup, check], tried[setup][0][check].seen)

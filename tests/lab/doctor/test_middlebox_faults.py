"""Findings of `rtdemo doctor` behind middleboxes that drop, cut, delay or remove something."""

from __future__ import annotations

import re

import pytest

from rtdemo.lab.doctor import resume, sse
from rtdemo.lab.server_clock import Reading
from tests.lab.doctor.doctor_run import Findings, examine, findings, served
from tests.lab.doctor.middlebox import middlebox


@pytest.fixture
def found(middlebox_findings: dict[str, Findings]) -> dict[str, Findings]:
    return middlebox_findings


@pytest.mark.alone
@pytest.mark.parametrize(
    ("box", "check", "seen", "fix"),
    [
        (
            "drops after silence",
            "SSE idle cut",
            "dropped without notice after 1 to 2 s of silence",
            "raise",
        ),
        ("drops after silence", "WebSocket idle cut", "dropped without notice after 1 to 2 s", "raise"),
        ("cuts by age", "SSE life", "was cut after ", "by their age"),
        ("cuts by age", "WebSocket life", "was cut after ", "by their age"),
        ("removes Last-Event-ID", "SSE resume", "treated as a new client", "Last-Event-ID"),
        ("removes the subprotocol", "WebSocket offers", "subprotocol lost", "Sec-WebSocket-Protocol"),
        ("removes Origin", "origin rule", "foreign page accepted (404)", "the header Origin"),
        ("cuts large messages", "WebSocket 64 KiB", "was not echoed", "limits the size"),
        ("cuts large messages", "SSE 64 KiB", "cut", ""),
    ],
)
def test_fault_is_reported(
    found: dict[str, Findings], box: str, check: str, seen: str, fix: str
) -> None:
    """As a failure, with what was seen and the fix."""
    result = found[box][check]
    assert result.verdict == "fail", result
    assert seen in result.seen
    assert fix in result.fix


async def test_events_that_are_all_delayed_alike() -> None:
    """The server's clock reveals a delay that all events share; the WebSocket has none."""
    async with served(often=True) as server, middlebox(server.web_url, delay=1.0) as url:
        found = findings(await examine(url, idle=1))
    assert found["SSE buffering"].verdict == "fail"
    assert re.search(r"5 were held back, for up to 1\d\d\d ms", found["SSE buffering"].seen)
    assert found["SSE latency"].verdict == "warn"
    assert re.search(r"over WebSocket one way is \d+\.\d ms", found["SSE latency"].seen)
    assert found["SSE latency"].fix


def test_one_delayed_event_counts() -> None:
    """Even if it is the last; without a clock, only the delay relative to other events counts."""
    arrived = [(1.0, 0.0), (201.0, 200.0), (401.0, 400.0), (601.0, 600.0), (1_700.0, 800.0)]
    ahead = [(came - 3_000, sent) for came, sent in arrived]
    assert sse.lateness(ahead, Reading(3_000, 0.5, 0.0))[-1] == pytest.approx(899.5, abs=0.1)
    assert sse.lateness(ahead, None) == [0, 0, 0, 0, 899]


async def test_servers_that_share_no_log() -> None:
    """A client that reconnects to the other server cannot resume; the fix blames no proxy."""
    async with (
        served(often=True) as first,
        served(often=True) as second,
        middlebox(first.web_url, reconnects_to=second.web_url) as url,
    ):
        found = findings(await examine(url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert found[check].verdict == "fail"
        assert "that does not have the position in its log" in found[check].seen
        assert "share one log: rtdemo serve --engine redis://HOST" in found[check].fix


async def test_no_message_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a shared message only the position is tested, and the verdict is a warning."""
    monkeypatch.setattr(resume, "MISSED_MESSAGE_TIMEOUT_S", 0.3)
    async with served(without=("broadcast",)) as server:
        found = findings(await examine(server.web_url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert found[check].verdict == "warn"
        assert "position accepted; no shared message was sent in 0.3 s" in found[check].seen

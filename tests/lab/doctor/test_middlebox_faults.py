"""What `rtdemo doctor` finds where a box in the path drops, cuts or takes out."""

from __future__ import annotations

import re

import pytest

from rtdemo.lab.doctor import resume, sse
from rtdemo.lab.server_clock import Reading
from tests.lab.doctor.doctor_run import Findings, examine, findings, served
from tests.lab.doctor.middlebox import middlebox


@pytest.fixture
def found(boxes_findings: dict[str, Findings]) -> dict[str, Findings]:
    return boxes_findings


@pytest.mark.parametrize(
    ("box", "check", "seen", "fix"),
    [
        ("forgets", "SSE idle cut", "dropped without notice after 1 to 2 s of silence", "raise"),
        ("forgets", "WebSocket idle cut", "dropped without notice after 1 to 2 s", "raise"),
        ("cuts by age", "SSE life", "was cut after ", "by their age"),
        ("cuts by age", "WebSocket life", "was cut after ", "by their age"),
        ("takes out Last-Event-ID", "SSE resume", "treated as a new client", "Last-Event-ID"),
        ("takes out the subprotocol", "WebSocket offers", "subprotocol lost", "Sec-WebSocket-Protocol"),
        ("takes out Origin", "origin rule", "foreign page accepted (404)", "the header Origin"),
        ("cuts what is large", "WebSocket 64 KiB", "was not echoed", "limits the size"),
        ("cuts what is large", "SSE 64 KiB", "cut", ""),
    ],
)
def test_fault_is_told(found: dict[str, Findings], box: str, check: str, seen: str, fix: str) -> None:
    """As a failure, with what was seen and what mends it."""
    result = found[box][check]
    assert result.verdict == "fail", result
    assert seen in result.seen
    assert fix in result.fix


async def test_events_that_are_all_held_alike() -> None:
    """Are late by the server's clock, though each as much as the others; the WebSocket is not."""
    async with served(often=True) as server, middlebox(server.web_url, holds=1.0) as url:
        found = findings(await examine(url, idle=1))
    assert found["SSE buffering"].verdict == "fail"
    assert re.search(r"5 were held back, for up to 1\d\d\d ms", found["SSE buffering"].seen)
    assert found["SSE latency"].verdict == "warn"
    assert re.search(r"over WebSocket one way is \d+\.\d ms", found["SSE latency"].seen)
    assert found["SSE latency"].fix


def test_one_event_that_is_stuck_counts() -> None:
    """The last one too; and without a clock only what is later than another."""
    arrived = [(1.0, 0.0), (201.0, 200.0), (401.0, 400.0), (601.0, 600.0), (1_700.0, 800.0)]
    ahead = [(came - 3_000, sent) for came, sent in arrived]
    assert sse.lateness(ahead, Reading(3_000, 0.5, 0.0))[-1] == pytest.approx(899.5, abs=0.1)
    assert sse.lateness(ahead, None) == [0, 0, 0, 0, 899]


async def test_servers_that_share_no_log() -> None:
    """Who comes back to another one is lost there; what mends it is told, and no proxy is blamed."""
    async with (
        served(often=True) as first,
        served(often=True) as second,
        middlebox(first.web_url, back=second.web_url) as url,
    ):
        found = findings(await examine(url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert found[check].verdict == "fail"
        assert "that does not have the position in its log" in found[check].seen
        assert "share one log: rtdemo serve --engine redis://HOST" in found[check].fix


async def test_nothing_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a shared message the position alone is tried, and a warning says so."""
    monkeypatch.setattr(resume, "MISSED_MESSAGE_TIMEOUT_S", 0.3)
    async with served(without=("broadcast",)) as server:
        found = findings(await examine(server.web_url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert found[check].verdict == "warn"
        assert "position accepted; no shared message was sent in 0.3 s" in found[check].seen

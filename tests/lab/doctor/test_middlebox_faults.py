"""Findings of `rtdemo doctor` behind middleboxes that drop, cut, hold, delay or remove something."""

from __future__ import annotations

import re

import pytest

from rtdemo.lab.doctor import resume, run
from rtdemo.lab.doctor.report import Report
from rtdemo.protocol import address
from tests.lab.doctor.doctor_run import Findings, examine, findings, served
from tests.lab.doctor.middlebox import middlebox

# The first test runs all examinations, and doctor records again on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def found(middlebox_findings: dict[str, Findings]) -> dict[str, Findings]:
    return middlebox_findings


@pytest.mark.alone
@pytest.mark.parametrize(
    ("box", "check", "code", "seen", "fix"),
    [
        ("drops after silence", "SSE idle", "sse-idle-cut", "after 3 to 4 s of silence", "firewall"),
        (
            "drops after silence",
            "WebSocket idle",
            "ws-idle-cut",
            "after 3 to 4 s of silence",
            "as for SSE idle",
        ),
        ("cuts by age", "SSE age", "age-cut", "was cut at the age of [4-9]", "by their age"),
        ("cuts by age", "WebSocket age", "age-cut", "was cut at the age of [4-9]", "as for SSE age"),
        ("cuts by age", "SSE idle", "not-judged", "see SSE age", ""),
        ("cuts by age", "SSE events", "not-judged", "see SSE age", ""),
        ("cuts by age", "WebSocket idle", "not-judged", "see WebSocket age", ""),
        (
            "removes Last-Event-ID",
            "SSE resume",
            "last-event-id-removed",
            "treated as a new client",
            "Last-Event-ID",
        ),
        (
            "removes the subprotocol",
            "WebSocket offers",
            "ws-subprotocol-removed",
            "subprotocol was lost",
            "Sec-WebSocket-Protocol",
        ),
        (
            "removes Origin",
            "origin rule",
            "origin-foreign-accepted",
            "foreign page accepted .404",
            "the header Origin",
        ),
        ("cuts large messages", "WebSocket 64 KiB", "size-limit", "was not echoed", "as for SSE events"),
        ("cuts large messages", "SSE events", "size-limit", "at a message of 64 KiB", "limits the size"),
        (
            "holds until the next",
            "SSE events",
            "sse-held-until-next",
            "^all events are held back until the next one is sent$",
            "without buffering",
        ),
        (
            "holds until the end",
            "SSE events",
            "sse-held-until-end",
            "until the stream ends",
            "buffering",
        ),
        ("holds 8 KiB", "SSE events", "sse-held-until-size", "until more bytes follow", "buffering"),
        ("collects for 200 ms", "SSE events", "sse-clumped", "arrives [2-9][0-9]{2} ms late", "at once"),
        (
            "counts the client's bytes",
            "WebSocket idle",
            "ws-client-idle-cut",
            "in which the client sent nothing, although the server did",
            # The seconds depend on the cut's time, which a slow machine measures too early or late.
            "start rtdemo with --heartbeat ",
        ),
        (
            "answers 503 to some",
            "SSE seven streams",
            "streams-limited",
            "connections of other checks: to more, a proxy, not rtdemo, answered 503",
            "",
        ),
    ],
)
def test_fault_is_reported(
    found: dict[str, Findings], box: str, check: str, code: str, seen: str, fix: str
) -> None:
    """With its code, what was seen and the fix."""
    result = found[box][check]
    assert result.code == code, (result, found[box])
    assert re.search(seen, result.seen)
    assert fix in result.fix


@pytest.mark.alone
@pytest.mark.parametrize(
    ("box", "faults"),
    [
        ("holds until the next", {"SSE events"}),
        ("holds until the end", {"SSE events"}),
        ("collects for 200 ms", {"SSE events"}),
        ("cuts by age", {"SSE age", "WebSocket age"}),
        ("counts the client's bytes", {"WebSocket idle"}),
        ("removes Last-Event-ID", {"SSE resume"}),
    ],
)
def test_one_cause_is_one_line(found: dict[str, Findings], box: str, faults: set[str]) -> None:
    """What it touches beside is not judged, and has no fix of its own."""
    others = {name: result for name, result in found[box].items() if name not in faults}
    assert {result.verdict for result in others.values()} <= {"ok", "skip"}, others
    assert not any(result.fix for result in others.values())


@pytest.mark.alone
async def test_events_that_are_all_delayed_alike() -> None:
    """Other paths reveal a delay that all events share, however long the round trip is."""
    async with served(often=True) as server, middlebox(server.web_url, delay=0.4) as url:
        found = findings(await examine(url, idle=1))
    assert found["SSE events"].code == "sse-clumped"
    # To which a busy machine adds.
    assert found["SSE events"].figures["delayMs"] >= 400


@pytest.mark.alone
async def test_inner_address_shows_where_a_fault_begins() -> None:
    """Both are examined at the same time."""
    async with served(often=True) as server, middlebox(server.web_url, holds="next") as url:
        report = Report(url)
        inner = [(server.web_url, address.parse(server.web_url))]
        await run.examine(address.parse(url), inner, 1, (), report)
    begins = {begin.code: (begin.outside, begin.inside) for begin in report.begins}
    assert begins == {"sse-held-until-next": (url, server.web_url)}
    assert findings(report.hops[0])["SSE events"].verdict == "ok"


async def test_servers_that_share_no_log() -> None:
    """A client that reconnects to the other server cannot resume; the fix blames no proxy."""
    async with (
        served(often=True) as first,
        served(often=True) as second,
        middlebox(first.web_url, reconnects_to=second.web_url) as url,
    ):
        found = findings(await examine(url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert found[check].code == "separate-logs"
        assert "that does not have the position in its log" in found[check].seen
    assert "share one log: rtdemo serve --engine redis://HOST" in found["SSE resume"].fix
    assert found["WebSocket resume"].fix == "the same as for SSE resume"


async def test_no_message_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a shared message only the position is tested, and the verdict is a warning."""
    monkeypatch.setattr(resume, "MISSED_MESSAGE_TIMEOUT_S", 0.3)
    async with served(without=("broadcast",)) as server:
        found = findings(await examine(server.web_url, idle=1))
    for check in ("SSE resume", "WebSocket resume"):
        assert (found[check].verdict, found[check].code) == ("warn", "nothing-missed")
        assert "position accepted; no shared message was sent in 0.3 s" in found[check].seen


@pytest.mark.alone
def test_single_stall_is_no_fault(found: dict[str, Findings]) -> None:
    """A machine or a line may stop for a moment; a proxy that holds events does so each time."""
    assert {
        name: each.code for name, each in found["stalls once"].items() if each.verdict == "fail"
    } == {}

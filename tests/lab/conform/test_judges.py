"""Judgements that need a long time or a rare server, on evidence that is made for them."""

from __future__ import annotations

import pytest

from rtdemo.lab.conform import report as reports
from rtdemo.lab.conform.check import STREAM, Check, Evidence, Level, Outcome
from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Exchange, Target
from rtdemo.lab.conform.report import Report, Result
from rtdemo.lab.http_response import Piece, Response

BY_ID: dict[str, Check] = {check.id: check for check in CHECKS}
EVENT = b"data: x\n\n"


def judged(check: str, pieces: list[Piece], seconds: float, **changes: object) -> Outcome:
    """Return how a stream is judged that sent these pieces, and was read for some seconds."""
    fields = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
    response = Response(200, "1.1", fields, head_at=0.1, body=pieces, framing="chunked")
    stream = Exchange("GET", [response], seconds=seconds)
    for name, value in changes.items():
        setattr(response if hasattr(response, name) else stream, name, value)
    evidence = Evidence(Target("http://h/"), {STREAM: stream})
    return BY_ID[check].run(evidence)


@pytest.mark.parametrize(
    ("times", "seconds", "kind"),
    [
        ([0.2, 15.0, 30.0], 35.0, "met"),
        ([0.2, 31.0], 35.0, "missed"),
        ([0.2], 35.0, "missed"),
        ([], 35.0, "missed"),
        ([0.2, 5.0], 20.0, "untested"),
        ([0.2], 29.0, "untested"),
    ],
)
def test_silence_is_judged_only_after_thirty_seconds(
    times: list[float], seconds: float, kind: str
) -> None:
    """Between two events, before the first one and after the last one."""
    outcome = judged("no-long-silence", [Piece(at, EVENT) for at in times], seconds)
    assert outcome.kind == kind, outcome


def test_silence_of_a_stream_that_ended_is_none() -> None:
    """The time after its end does not count."""
    outcome = judged("no-long-silence", [Piece(0.2, EVENT)], 1.0, is_complete=True)
    assert outcome.kind == "met"


@pytest.mark.parametrize(
    ("first", "seconds", "kind"),
    [(1.0, 5.0, "met"), (16.0, 20.0, "missed"), (None, 20.0, "missed"), (None, 5.0, "untested")],
)
def test_first_byte(first: float | None, seconds: float, kind: str) -> None:
    """A run that is too short says nothing."""
    pieces = [] if first is None else [Piece(first, b":\n\n")]
    assert judged("first-byte", pieces, seconds).kind == kind


def test_slow_line_is_no_held_back_event() -> None:
    """The lines of an event may arrive one by one; only its blank line must not wait."""
    pieces = [Piece(1.0, b"data: a\n"), Piece(3.0, b"data: b\n\n")]
    assert judged("event-dispatched-at-once", pieces, 5.0).kind == "met"
    pieces = [Piece(1.0, b"data: a\n"), Piece(2.0, b"\ndata: b\n"), Piece(3.0, b"\n")]
    assert judged("event-dispatched-at-once", pieces, 5.0).kind == "missed"


def test_event_that_has_just_begun_is_not_judged() -> None:
    """The suite stopped reading in the middle of it."""
    assert judged("blank-line-ends-event", [Piece(4.9, b"data: a\n")], 5.0).kind == "untested"
    assert judged("last-event-complete", [Piece(4.9, b"data: a\n")], 5.0).kind == "untested"


def test_stream_that_a_request_of_the_suite_ended_is_not_judged_by_its_end() -> None:
    """The fault is that of the request, and is reported there."""
    stream = Exchange("GET", [Response(200, framing="chunked", head_at=0.1)], closed_at=1.0, seconds=1.0)
    evidence = Evidence(Target("http://h/"), {STREAM: stream}, unanswered=["GET with `Host: a b`"])
    assert BY_ID["last-chunk"].run(evidence).kind == "untested"
    assert BY_ID["not-cut"].run(evidence).kind == "untested"
    assert BY_ID["stays-up"].run(evidence).sent == "GET with `Host: a b`"


@pytest.mark.parametrize(
    ("line", "missed"),
    [
        (b"data: x", set()),
        (b"data", set()),
        (b":comment", set()),
        (b"", set()),
        (b"second line", {"stray-lines"}),
        (b'  "a": 1,', {"stray-lines"}),
        (b"word", {"stray-lines"}),
        (b"DATA: x", {"field-name-case"}),
        (b" data: x", {"field-name-spaces"}),
        (b"data : x", {"field-name-spaces"}),
        (b"time: 12", {"field-names-known"}),
        (b"x-trace_id: 12", {"field-names-known"}),
    ],
)
def test_line_belongs_to_one_check(line: bytes, missed: set[str]) -> None:
    """A fault is reported once, by the check that names its cause."""
    pieces = [Piece(0.2, EVENT + line + b"\n\n")]
    names = ("stray-lines", "field-name-case", "field-name-spaces", "field-names-known")
    assert {name for name in names if judged(name, pieces, 5.0).kind == "missed"} == missed


def judged_probe(check: str, name: str, made: Exchange) -> Outcome:
    """Return how a server is judged whose stream is right, and that answers one request so."""
    fields = [("Content-Type", "text/event-stream")]
    stream = Exchange("GET", [Response(200, "1.1", fields, head_at=0.1)], seconds=1.0)
    return BY_ID[check].run(Evidence(Target("http://h/"), {STREAM: stream, name: made}))


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (Exchange("GET", [Response(400, "1.1")]), "met"),
        (Exchange("GET", [Response(431, "1.1")]), "met"),
        (Exchange("GET", closed_at=0.1), "met"),
        (Exchange("GET", error="connection reset"), "met"),
        (Exchange("GET", [Response(500, "1.1")]), "missed"),
        (Exchange("GET", seconds=5.0), "missed"),
    ],
)
def test_nul_may_be_rejected_without_a_status(made: Exchange, kind: str) -> None:
    """RFC 9110 section 5.5: reject the message, or replace the character."""
    assert judged_probe("null-handled", "null", made).kind == kind


@pytest.mark.parametrize("name", ["accept-any", "accept-missing"])
def test_server_may_choose_if_accept_prefers_nothing(name: str) -> None:
    """A page for browsers at the same URL is no fault; 406 is one."""
    page = Response(200, "1.1", [("Content-Type", "text/html")])
    assert judged_probe(name, name, Exchange("GET", [page])).kind == "untested"
    assert judged_probe(name, name, Exchange("GET", [Response(406, "1.1")])).kind == "missed"


@pytest.mark.parametrize(("version", "kind"), [("1.1", "missed"), ("1.0", "untested")])
def test_stream_without_chunks_is_a_fault_only_where_chunks_exist(version: str, kind: str) -> None:
    """RFC 9112 section 6.3 asks for them "whenever possible"."""
    changes = {"framing": "until closed", "version": version}
    assert judged("stream-end-visible", [Piece(0.2, EVENT)], 5.0, **changes).kind == kind


@pytest.mark.parametrize(
    ("head_at", "kind"),
    [(0.1, "met"), (2.0, "met"), (2.95, "missed"), (3.05, "missed")],
)
def test_second_stream_that_waits_for_the_end_of_the_first(head_at: float, kind: str) -> None:
    """It is answered, but it was not served while the first one was open."""
    outcome = _second(head_at, stream_end=3.1)
    assert outcome.kind == kind


def test_second_stream_of_a_stream_that_ends_at_once() -> None:
    """Nothing shows whether the server serves two."""
    assert _second(0.1, stream_end=0.15).kind == "untested"


@pytest.mark.parametrize(("body", "is_noted"), [([], True), ([Piece(0.2, EVENT)], False)])
def test_stream_without_events_is_not_tested(body: list[Piece], is_noted: bool) -> None:
    """A build whose stream is silent has no fault, but must not look tested: exit code 2."""
    response = Response(200, "1.1", [("Content-Type", "text/event-stream")], head_at=0.1, body=body)
    evidence = Evidence(Target("http://h/"), {STREAM: Exchange("GET", [response], seconds=1.0)})
    checks = [check for check in CHECKS if check.group in ("framing", "fields")]
    report = reports.judge(evidence, checks, False, ())
    found = [str(line) for line in reports.lines(report)]
    assert any(line.startswith("no event arrived") for line in found) is is_noted
    assert found[0] == (
        "Undecided: too little could be tested."
        if is_noted
        else "Each MUST and SHOULD that was tested is kept."
    )
    assert report.exit_code == (2 if is_noted else 0)
    # Who chooses no check of events needs none.
    others = [check for check in CHECKS if check.group == "caching"]
    assert reports.judge(evidence, others, False, ()).exit_code == 0


@pytest.mark.parametrize(
    ("broken", "is_whole", "words"),
    [
        ([], True, "Each MUST and SHOULD that was tested is kept."),
        (["advice"], True, "Each MUST and SHOULD that was tested is kept."),
        (["MUST"], True, "1 MUST clause is not kept."),
        (["MUST", "MUST", "SHOULD"], True, "2 MUST and 1 SHOULD clauses are not kept."),
        (
            ["SHOULD", "SHOULD"],
            True,
            "Each MUST that was tested is kept, but 2 SHOULD clauses are not kept.",
        ),
        (["MUST"], False, "Interrupted; so far: 1 MUST clause is not kept."),
    ],
)
def test_verdict_is_one_sentence(broken: list[Level], is_whole: bool, words: str) -> None:
    """It stands on top; advice alone is no fault."""
    texts = dict.fromkeys(("code", "group", "clause", "clause_url", "rule", "sent", "seen", "fix"), "")
    kept = Result(**texts, level="MUST", verdict="pass", figures={})
    faults = [Result(**texts, level=level, verdict="warn", figures={}) for level in broken]
    report = Report("", checks=[kept, *faults], is_whole=is_whole)
    report.count()
    assert reports.headline(report) == words


def _second(head_at: float, stream_end: float) -> Outcome:
    fields = [("Content-Type", "text/event-stream")]
    first = Response(200, "1.1", fields, head_at=0.1)
    second = Response(200, "1.1", fields, head_at=head_at)
    exchanges = {
        STREAM: Exchange("GET", [first], closed_at=stream_end, seconds=stream_end),
        "second-stream": Exchange("GET", [second]),
    }
    return BY_ID["second-stream"].run(Evidence(Target("http://h/"), exchanges))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_run_may_end_after_any_request(check: Check) -> None:
    """A judge that compares two requests needs both: Ctrl-C may come between them."""
    head = [("Content-Type", "text/event-stream")]
    body = [Piece(number / 10, b"id: %d\ndata: x\n\n" % number) for number in range(1, 5)]
    exchanges = {
        name: Exchange("GET", [Response(200, "1.1", head, head_at=0.1, body=body)], seconds=1.0)
        for name in (STREAM, check.probe)
    }
    outcome = check.run(Evidence(Target("http://h/"), exchanges))
    assert outcome.kind == "untested" or not check.control

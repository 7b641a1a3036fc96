"""The report: one cause and one fix once, and where faults begin."""

from __future__ import annotations

from rtdemo.lab.doctor.causes import fold
from rtdemo.lab.doctor.report import Begin, Report, Result


def result(check: str, verdict: str, code: str, fix: str = "", because: str = "") -> Result:
    figures = {"because": because} if because else {}
    return Result(check, verdict, code, ["1.1"], "seen", fix, figures)  # type: ignore[arg-type]  # a verdict


def test_answer_that_each_check_gets_is_reported_once() -> None:
    """The others are not judged, and name the first one."""
    found = fold(
        [result("page", "fail", "overloaded", "x"), result("SSE POST", "fail", "overloaded", "x")]
    )
    assert [(each.verdict, each.code, each.fix) for each in found] == [
        ("fail", "overloaded", "x"),
        ("skip", "not-judged", ""),
    ]
    assert found[1].figures == {"because": "page"}


def test_fix_is_printed_once() -> None:
    """Two faults that one directive mends are two lines with one fix."""
    found = fold(
        [
            result("SSE idle", "fail", "sse-idle-cut", "x"),
            result("WebSocket idle", "fail", "ws-idle-cut", "x"),
        ]
    )
    assert [each.fix for each in found] == ["x", "the same as for SSE idle"]


def test_refused_page_is_an_effect_of_the_rewritten_host() -> None:
    """The cause gets the verdict of the effect."""
    found = fold(
        [
            result("headers", "warn", "host-rewritten", "x"),
            result("origin rule", "fail", "origin-own-refused"),
        ]
    )
    assert [each.verdict for each in found] == ["fail", "skip"]
    assert found[0].seen == "seen; so rtdemo refuses its own page"


def test_check_that_is_not_judged_names_the_cause_at_last() -> None:
    """Not another check that is not judged itself."""
    found = fold(
        [
            result("SSE events", "skip", "not-judged", because="SSE age"),
            result("SSE POST", "skip", "not-judged", because="SSE events"),
            result("SSE age", "fail", "age-cut"),
        ]
    )
    assert [each.figures.get("because") for each in found] == ["SSE age", "SSE age", None]


def test_where_faults_begin() -> None:
    """Between the innermost address that has a fault and the next one, or rtdemo itself."""
    outer, inner = Report("https://outer"), Report("http://inner")
    outer.checks = [
        result("SSE events", "fail", "sse-held-until-next"),
        result("headers", "warn", "forwarding-missing"),
        result("TLS", "fail", "certificate-expired"),
        result("clock", "warn", "clock-apart"),
        result("page", "ok", "ok"),
    ]
    inner.checks = [result("headers", "warn", "forwarding-missing")]
    outer.hops = [inner]
    outer.compare_hops()
    assert outer.begins == [
        Begin("sse-held-until-next", "SSE events", "https://outer", "http://inner"),
        Begin("forwarding-missing", "headers", "http://inner", "rtdemo"),
    ]
    lines = [line.plain for line in outer.lines()]
    assert "      SSE events (sse-held-until-next): between https://outer and http://inner" in lines

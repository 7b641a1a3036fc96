"""Whose fault it is: at the URL only the proxy's, at both the server's, without --direct unknown."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest

from rtdemo.lab.token_stream.finding import CANNOT_TELL, Finding
from rtdemo.lab.token_stream.verdict import Conclusion, conclude
from rtdemo.lab.token_stream.way import Way
from tests.lab.token_stream.made import (
    END,
    EVENT_STREAM,
    held_to_end,
    recording,
    stream,
    through_buffer,
    through_timer,
    token,
    way,
)

NGINX = (EVENT_STREAM, ("Server", "nginx/1.22.1"))
SENT = stream(tokens=200, every_s=0.01)
DIRECT = way("direct", recording(SENT))


def concluded(url: Way, direct: Way | None = DIRECT) -> Finding:
    """Return the worst finding."""
    return conclude([url], direct).findings[0]


def answered(status: int, after_s: float = 0.2, body: bytes = b"", **header: str) -> Way:
    """Return a way whose answers have a status."""
    headers = [(name.replace("_", "-"), value) for name, value in header.items()]
    return way("url", recording([(after_s, body or b"no")], status=status, headers=headers))


def test_tokens_that_pass() -> None:
    finding = concluded(way("url", recording(SENT, headers=NGINX)))
    assert (finding.code, finding.verdict, finding.fault) == ("tokens-flow", "ok", "none")
    assert "as the server sends them" in finding.seen


def test_held_at_the_url_only_is_the_proxy() -> None:
    finding = concluded(way("url", recording(through_buffer(SENT, 4096), headers=NGINX)))
    assert (finding.code, finding.verdict, finding.fault) == ("tokens-buffered-4096", "fail", "proxy")
    assert finding.seen.startswith("The proxy holds tokens back: 1")
    assert "nginx (`proxy_buffers`)" in finding.details[0]
    assert finding.fixes == [
        "nginx: `proxy_buffering off;` or let the server send the header X-Accel-Buffering: no"
    ]


def test_held_at_both_is_the_server() -> None:
    stored = recording(held_to_end(SENT))
    finding = concluded(way("url", stored), way("direct", stored))
    assert (finding.code, finding.verdict, finding.fault) == ("tokens-held-to-end", "fail", "server")
    assert conclude([way("url", stored)], way("direct", stored)).fault == "server"


def test_server_and_proxy_may_both_hold() -> None:
    direct = way("direct", recording(through_buffer(SENT, 4096)))
    found = conclude([way("url", recording(through_buffer(SENT, 16_384)))], direct).findings
    assert {finding.fault for finding in found} == {"server", "proxy"}


def test_without_direct_only_what_is_certain_is_said() -> None:
    """A server may send so: no failure, nobody is blamed, and what to do is said."""
    finding = concluded(way("url", recording(held_to_end(SENT), headers=NGINX)), None)
    assert (finding.verdict, finding.fault) == ("warn", "unknown")
    assert finding.seen.startswith("All tokens arrive at once, after 2")
    assert CANNOT_TELL in finding.details
    assert finding.fixes[0].startswith("if it is a proxy: nginx: `proxy_buffering off;`")


def test_server_that_batches_raises_no_alarm() -> None:
    batched = recording(stream(tokens=200, batch=5))
    finding = concluded(way("url", batched), way("direct", batched))
    assert (finding.code, finding.verdict) == ("tokens-flow", "ok")
    assert "then 5.0 every 100 ms" in finding.seen


def test_short_clumps_are_a_warning() -> None:
    """Nobody notices 20 ms."""
    finding = concluded(way("url", recording(through_timer(SENT, 0.04))))
    assert (finding.code, finding.verdict) == ("tokens-clumped-40ms", "warn")
    finding = concluded(way("url", recording(through_timer(SENT, 0.2))))
    assert (finding.code, finding.verdict) == ("tokens-clumped-200ms", "fail")


def test_one_cause_over_both_versions_is_one_finding() -> None:
    held = recording(through_buffer(SENT, 4096))
    found = conclude([way("url", held), way("url", held, version="2")], DIRECT).findings
    assert [(finding.code, finding.http) for finding in found] == [
        ("tokens-buffered-4096", ["1.1", "2"])
    ]


def in_bursts(sent: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """Return how 200 tokens arrive where a busy machine reads them, in bursts without a pattern."""
    ends = list(accumulate((3, 20, 5, 28, 2, 18, 9, 40, 4, 30, 12, 25, 5)))
    bursts = [sent[start:end] for start, end in pairwise([0, *ends])]
    return [(burst[-1][0], b"".join(data for _, data in burst)) for burst in bursts]


def compressed(uncompressed: list[tuple[float, bytes]]) -> Way:
    """Return a way with compressed answers that arrive at the end, and one without compression."""
    made = way("url", recording(held_to_end(SENT), headers=[EVENT_STREAM]))
    for each in made.recordings:
        assert each.head is not None
        each.head.headers.append(("Content-Encoding", "gzip"))
    made.uncompressed = recording(uncompressed)
    return made


def test_compression_is_the_cause_if_tokens_pass_without() -> None:
    assert concluded(compressed(SENT)).code == "tokens-held-by-compression"
    finding = concluded(compressed(held_to_end(SENT)))
    assert finding.code == "tokens-held-to-end"
    assert "without compression (gzip) they are held back too" in finding.details[0]


def test_compression_is_the_cause_also_where_a_busy_machine_reads_in_bursts() -> None:
    """One answer was asked for without compression; its bursts have no pattern."""
    assert concluded(compressed(in_bursts(SENT))).code == "tokens-held-by-compression"
    buffered = concluded(compressed(through_buffer(SENT, 4096)))
    assert "they are held back too" in buffered.details[0]


def test_late_first_token_is_a_warning() -> None:
    late = [(at + 0.8, data) for at, data in SENT]
    finding = concluded(way("url", recording(late)))
    assert (finding.code, finding.verdict, finding.fault) == ("first-token-late", "warn", "proxy")
    assert "1.10 s instead of 300 ms" in finding.seen


def test_bursts_without_a_pattern_on_a_busy_machine_are_not_judged() -> None:
    """They may be its own. A pattern is not."""
    url = way("url", recording(in_bursts(SENT)))
    buffered = way("url", recording(through_buffer(SENT, 4096)))
    assert concluded(url).code == "tokens-bunched"
    assert conclude([url], DIRECT, is_busy=True).findings[0].code == "machine-busy"
    assert conclude([buffered], DIRECT, is_busy=True).findings[0].code == "tokens-buffered-4096"


def test_short_answer_is_not_judged() -> None:
    short = recording(stream(tokens=5))
    finding = concluded(way("url", short), way("direct", short))
    assert (finding.code, finding.verdict) == ("answer-too-short", "warn")


STATUSES = {
    400: "request-refused",
    401: "not-authorized",
    403: "not-authorized",
    404: "not-found",
    405: "method-refused",
    408: "request-timeout",
    413: "body-too-large",
    418: "request-refused",
    422: "request-refused",
    429: "rate-limited",
    431: "headers-too-large",
    500: "server-error",
    502: "bad-gateway",
    503: "overloaded",
    504: "gateway-timeout",
    524: "gateway-timeout",
    301: "redirected",
    999: "server-error",
}


@pytest.mark.parametrize("status", STATUSES)
def test_status_has_its_meaning(status: int) -> None:
    """At the URL only it is the proxy's, at both the server's; each has something to do."""
    finding = concluded(answered(status))
    assert (finding.code, finding.verdict, finding.fault) == (STATUSES[status], "fail", "proxy")
    assert finding.fixes
    direct = answered(status)
    direct.name = "direct"
    assert concluded(answered(status), direct).fault == "server"


def test_gateway_statuses_are_of_a_proxy_also_without_direct() -> None:
    """No other program answers them (RFC 9110 sections 15.6.3 and 15.6.5)."""
    assert [concluded(answered(status), None).fault for status in (502, 504, 500)] == [
        "proxy",
        "proxy",
        "unknown",
    ]


def test_timeout_names_the_limit() -> None:
    finding = concluded(
        answered(504, 60.0, b"<html><title>504 Gateway Time-out</title>", Server="nginx")
    )
    assert (
        "504 Gateway Timeout after 60.0 s (the default of nginx (`proxy_read_timeout`)" in finding.seen
    )
    assert "<" not in finding.seen
    assert finding.fixes == ["nginx: `proxy_read_timeout 300s;`"]


def test_body_that_is_too_large_names_its_size() -> None:
    url = answered(413, 0.1, b"<html>", Server="nginx")
    url.request = way("url", recording([]), body=b"x" * 3_000_000).request
    finding = concluded(url)
    assert "for 3,000,000 bytes" in finding.seen
    assert finding.fixes == ["nginx: `client_max_body_size 6m;`"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "bad model"}}', ": bad model"),
        (b'{"detail": "Not Found"}', ": Not Found"),
        (b"first\x1b[2J\nsecond", ": first\\x1b[2J"),
        (b"<html><title>Sign in</title>", ": Sign in"),
        (b"<html>", "d"),
        (b'{"a":' * 100_000, ""),
    ],
)
def test_reason_is_one_line_without_markup(body: bytes, reason: str) -> None:
    assert reason in concluded(answered(401, body=body)).seen
    assert "<" not in concluded(answered(401, body=body)).seen


def cut(ended_s: float, arrived_s: float = 1.0) -> Way:
    """Return a way whose answers are cut, with the last byte before."""
    arrived = [part for part in stream(tokens=500, every_s=0.05, ends=False) if part[0] <= arrived_s]
    return way("url", recording(arrived, ending="cut", ended_s=ended_s, reason="closed"))


def test_cut_after_silence_names_the_limit() -> None:
    finding = concluded(cut(61.0))
    assert (finding.code, finding.fault) == ("cut-at-limit", "proxy")
    assert "cuts answers: 60.0 s without a byte (the default of nginx" in finding.seen
    assert concluded(cut(61.0), None).fault == "unknown"


def test_cut_by_age_names_the_limit() -> None:
    """Tokens flow until then: no silence is the reason."""
    finding = concluded(cut(15.0, arrived_s=15.0))
    assert "15.0 s after the request (the default of Envoy's route `timeout`)" in finding.seen


def test_late_close_is_no_silence_of_the_server() -> None:
    """Envoy stops to forward at its limit, and closes a second later."""
    finding = concluded(cut(16.0, arrived_s=15.0))
    assert "15.0 s after the request (the default of Envoy" in finding.seen
    pausing = recording([*stream(tokens=20), *stream(tokens=20, first_s=2.0)])
    finding = concluded(cut(16.0, arrived_s=15.0), way("direct", pausing))
    assert "1.0 s without a byte" in finding.seen


def test_cut_at_any_time_is_no_limit() -> None:
    cuts = [cut(seconds, arrived_s=seconds).recordings[0] for seconds in (3.0, 9.0, 7.0)]
    assert concluded(way("url", *cuts)).code == "cut"


def test_missing_end_is_a_cut_that_http_does_not_show() -> None:
    """An answer of HTTP/1.0 ends by closing: only [DONE] shows that it is whole."""
    finding = concluded(way("url", recording(stream(ends=False))))
    assert (finding.code, finding.fault) == ("end-missing", "proxy")


def test_server_that_cuts_is_at_fault_though_the_proxy_hides_it() -> None:
    direct = cut(2.0, arrived_s=2.0)
    direct.name = "direct"
    assert concluded(way("url", recording(stream(ends=False))), direct).fault == "server"
    found = conclude([answered(502)], direct).findings
    assert [(finding.code, finding.fault) for finding in found] == [("cut-at-limit", "server")]


def test_error_in_the_stream() -> None:
    data = b'data: {"error": {"message": "out of memory"}}\n\n'
    url = way("url", recording([*stream(ends=False), (3.0, data)]))
    assert concluded(url).seen == "The proxy reports an error in the stream: out of memory"


@pytest.mark.parametrize(
    ("kind", "data", "body", "fix"),
    [
        ("application/json", b'{"choices": []}', b'{"stream": false}', "true into the body"),
        ("application/json", b'{\n "a": 1\n}', b'{"messages": []}', "true into the body"),
        ("application/json", b'{"a": 1}', b'{"stream": true}', "does not stream"),
        ("text/html", b"<html><title>Sign in</title></html>", b"{}", "check the URL"),
    ],
)
def test_answer_that_is_no_stream(kind: str, data: bytes, body: bytes, fix: str) -> None:
    made = recording([(1.0, data)], headers=[("Content-Type", kind)])
    finding = concluded(way("url", made, body=body))
    assert finding.code == "not-a-stream"
    assert fix in finding.fixes[0]


def test_json_lines_are_a_stream() -> None:
    line = b'{"response": "a", "done": false}\n'
    arrived = [(0.3 + 0.02 * n, line) for n in range(100)] + [(2.4, b'{"done": true}\n')]
    made = recording(arrived, headers=[("Content-Type", "application/x-ndjson")])
    assert concluded(way("url", made), way("direct", made)).code == "tokens-flow"


def test_json_array_that_arrives_bit_by_bit_is_a_stream() -> None:
    """As of Gemini without `alt=sse`."""
    arrived = [(0.3 + 0.02 * n, b'[{"a": 1}\n' if n == 0 else b',{"a": 1}\n') for n in range(100)]
    made = recording(arrived, headers=[("Content-Type", "application/json")])
    assert concluded(way("url", made), way("direct", made)).code == "tokens-flow"


def proxies_of(headers: list[tuple[str, str]], direct: list[tuple[str, str]]) -> Conclusion:
    url = way("url", recording(SENT, headers=[*headers]))
    return conclude([url], way("direct", recording(SENT, headers=direct)))


def test_proxies_are_recognised_by_what_they_add() -> None:
    """What the direct answer has too is of the server."""
    uvicorn = [("content-type", "text/event-stream"), ("server", "uvicorn")]
    aiohttp = [EVENT_STREAM, ("Server", "aiohttp")]
    seen = {
        "nginx": proxies_of([EVENT_STREAM, ("Server", "nginx")], aiohttp),
        "Caddy": proxies_of([*aiohttp, ("Via", "1.1 Caddy")], aiohttp),
        "Envoy": proxies_of([*uvicorn, ("x-envoy-upstream-service-time", "3")], uvicorn),
        "HAProxy": proxies_of([("content-type", "text/event-stream"), ("server", "aiohttp")], aiohttp),
        "": proxies_of(uvicorn, uvicorn),
    }
    assert not proxies_of(
        [("Content-TYPE", "text/event-stream"), ("Server", "aiohttp")], aiohttp
    ).proxies
    assert {name: list(found.proxies) for name, found in seen.items()} == {
        name: [name] if name else [] for name in seen
    }
    assert not proxies_of(
        [EVENT_STREAM, ("Server", "nginx")], [EVENT_STREAM, ("Server", "nginx")]
    ).proxies


def test_unknown_proxy_gets_the_general_rule_and_examples() -> None:
    fixes = concluded(way("url", recording(held_to_end(SENT)))).fixes
    assert [fix.partition(": ")[0] for fix in fixes[1:]] == ["nginx", "HAProxy"]
    assert "without buffering" in fixes[0]


def test_no_answer_at_all() -> None:
    made = recording([], status=0, ending="cut", ended_s=30.0, reason="closed")
    finding = concluded(way("url", made))
    assert (finding.code, finding.fault) == ("no-answer", "proxy")
    assert "closed after 30.0 s (the limit of Heroku" in finding.seen


def test_empty_stream_has_a_verdict() -> None:
    """Only the end, or nothing at all."""
    for arrived in ([], [(0.1, END)], [(0.1, token()[:40])]):
        assert conclude([way("url", recording(arrived))], DIRECT).findings


def shifted(*late_s: float) -> Way:
    """Return a way whose answers are later by these times."""
    return way("url", *(recording([(at + late, data) for at, data in SENT]) for late in late_s))


def test_first_tokens_that_vary_may_be_late_by_chance() -> None:
    """All three of one side are later once in twenty runs, if both sides vary alike."""
    varying = [recording([(at + late, data) for at, data in SENT]) for late in (0.0, 0.3, 0.6)]
    direct = way("direct", *varying)
    assert concluded(shifted(0.9, 1.0, 1.1), direct).code == "tokens-flow"
    assert concluded(shifted(1.5, 1.6, 1.7), direct).code == "first-token-late"


def test_direct_answers_without_a_token_show_no_lateness() -> None:
    """They end without one, and nothing is late beside them."""
    empty = recording([(0.1, END)])
    found = conclude([way("url", recording(SENT))], way("direct", empty)).findings
    assert "first-token-late" not in {finding.code for finding in found}


def test_worse_of_two_versions_decides() -> None:
    """Over HTTP/1.1 tokens wait for 20 ms, which is a warning, and over HTTP/2 for 100 ms."""
    short = recording(through_timer(SENT, 0.04))
    long = recording(through_timer(stream(tokens=200, every_s=0.01, batch=1), 0.2))
    for first, second in ((short, long), (long, short)):
        found = conclude([way("url", first), way("url", second, version="2")], None).findings
        assert found[0].verdict == max((f.verdict for f in found), key=["ok", "warn", "fail"].index)
    held = recording(through_buffer(SENT, 2048)), recording(through_buffer(SENT, 8192))
    assert {f.verdict for f in conclude([way("url", one) for one in held], DIRECT).findings} <= {
        *("warn", "fail")
    }


def test_even_pauses_on_a_busy_machine_need_the_direct_answers() -> None:
    """They may be those of its scheduler; if the direct answers lack them, they are the proxy's."""
    url = way("url", recording(through_timer(SENT, 0.1)))
    assert concluded(url, None).code.startswith("tokens-clumped")
    assert conclude([url], None, is_busy=True).findings[0].code == "machine-busy"
    assert conclude([url], DIRECT, is_busy=True).findings[0].code.startswith("tokens-clumped")


def test_event_stream_without_a_byte_has_no_token() -> None:
    """It is a stream, so `"stream": true` is no advice."""
    finding = concluded(way("url", recording([])), None)
    assert (finding.code, finding.verdict) == ("no-tokens", "fail")
    assert "0 bytes" in finding.seen

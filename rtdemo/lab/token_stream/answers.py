"""What is wrong with answers as a whole: refused, cut, without an end, no stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise

import msgspec

from rtdemo.errors import printable
from rtdemo.lab.token_stream.limits import known_time
from rtdemo.lab.token_stream.recording import Recording
from rtdemo.lab.token_stream.way import Way
from rtdemo.plugin_system.checks import Verdict
from rtdemo.protocol.message import DECODE_ERRORS

SAME_TIME_S, SAME_TIME_SHARE = 0.35, 0.05
"""Times that differ less, in seconds or as a share, are the same limit: nginx moves its timers only in
steps of 0.3 s (NGX_TIMER_LAZY_DELAY)."""
SILENCE_S = 0.5
"""Seconds without a byte before a cut, from which the silence may be its reason."""
LATE_CLOSE_S = 2.0
"""Seconds within which a proxy closes that has stopped to forward: Envoy after one
(`delayed_close_timeout`). A shorter silence is a reason only if the server pauses for as long."""
_PAUSE_SHARE = 0.9
"""Share of such a silence, for which the server pauses at least."""
_MORE_THAN_A_PAUSE = 1.5
"""How many times the longest pause before a longer silence is at least."""
WHOLE_S = 0.05
"""Seconds in which a JSON value arrives that is no stream."""
MAX_RETRY_CHARS = 40
MAX_LINE_CHARS = 150
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_TIMED = frozenset((408, 499, 502, 503, 504, 522, 524))
"""Statuses of a limit of time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of answers.

    Arguments:
        code: of the finding.
        predicate: what whoever is at fault does, such as `cuts answers`.
        seen: figures, as the rest of the sentence.
        cause: key of `fixes.FIXES`; empty if `advice` has what to do.
        advice: what to do, if the proxy cannot be changed for it, or need not.
        verdict: `warn` or `fail`.
        answers: number of answers that have it.
        figures: numbers for programs, by name with unit.
    """

    code: str
    predicate: str
    seen: str
    cause: str = ""
    advice: str = ""
    verdict: Verdict = "fail"
    answers: int = 1
    figures: Mapping[str, float] = field(default_factory=dict)


_Meaning = tuple[str, str, str, str]
"""Code, predicate, cause and advice of a status."""

STATUSES: Mapping[int, _Meaning] = {
    400: ("request-refused", "refuses the body", "", "check the body: the server does not take it"),
    401: ("not-authorized", "asks for a login", "", "give --header 'Authorization: Bearer ...'"),
    403: ("not-authorized", "forbids this", "", "check the login that --header has, and its rights"),
    404: ("not-found", "has nothing at this path", "", "check the path, such as /v1/chat/completions"),
    405: ("method-refused", "takes no POST here", "", "check the path, such as /v1/chat/completions"),
    407: (
        "not-authorized",
        "asks for a login of the proxy",
        "",
        "put user and password into HTTPS_PROXY",
    ),
    408: ("request-timeout", "waits too short for the body", "", "raise its limit for reading a body"),
    413: ("body-too-large", "refuses a body of this size", "body", ""),
    429: ("rate-limited", "limits requests", "rate", ""),
    431: ("headers-too-large", "refuses headers of this size", "", "send shorter headers"),
    502: ("bad-gateway", "gets no valid answer", "backend", ""),
    503: ("overloaded", "takes no request now", "", "look whether the server runs, and at its limits"),
    504: ("gateway-timeout", "waits too short for the answer", "silence", ""),
    522: ("bad-gateway", "gets no answer", "backend", ""),
    524: ("gateway-timeout", "waits too short for the answer", "silence", ""),
}
"""What a status means here (RFC 9110 section 15.5 and 15.6; 522 and 524 are of Cloudflare)."""
_OTHER_STATUSES: Mapping[int, _Meaning] = {
    3: ("redirected", "redirects the request", "", "give the URL that it names"),
    4: ("request-refused", "refuses the request", "", "check the body and the headers"),
    5: ("server-error", "fails", "", "look at its log"),
}
"""By the first digit of a status that `STATUSES` does not have."""
GATEWAY_CODES = frozenset(("bad-gateway", "gateway-timeout"))
"""Codes of statuses that only a proxy answers (RFC 9110 sections 15.6.3 and 15.6.5)."""


def find_problems(way: Way, has_end: bool, server_pause_s: float | None) -> list[Problem]:
    """Return what is wrong with the answers of a way, each code once.

    Arguments:
        way: to the server.
        has_end: whether the server is known to send an event that ends the stream.
        server_pause_s: longest pause of the server, as direct answers show it; None if that is unknown.
    """
    return [
        *_refused(way),
        *_unanswered(way.recordings),
        *_cut(way.streams, server_pause_s),
        *_without_end(way.streams, has_end),
        *_reported_errors(way.streams),
        *_not_streams(way),
        *_without_tokens(way.streams),
    ]


def _refused(way: Way) -> Iterable[Problem]:
    for status in sorted({r.status for r in way.recordings if r.head is not None and not r.is_ok}):
        same = [recording for recording in way.recordings if recording.status == status]
        code, predicate, cause, advice = STATUSES.get(status) or _OTHER_STATUSES.get(
            status // 100, ("server-error", "answers no valid status", "", "look at its log")
        )
        after_s = same[0].head_s
        size = len(way.request.body)
        seen = f"{status} {_phrase(status)}".rstrip()
        if status in _TIMED:
            seen += f" after {after_s:.1f} s{_whose(after_s)}"
        if code == "body-too-large":
            seen += f" for {size:,} bytes"
        if code == "redirected":
            seen += f" to {printable(same[0].header('location'))[:MAX_LINE_CHARS] or 'nowhere'}"
        elif reason := _reason(same[0]):
            seen += f": {reason}"
        if retry := printable(same[0].header("retry-after"))[:MAX_RETRY_CHARS]:
            seen += f" (Retry-After: {retry})"
        figures = {"status": status, "afterMs": after_s * 1000, "bodyBytes": size}
        yield Problem(code, predicate, seen, cause, advice, "fail", len(same), figures)


def _unanswered(recordings: Sequence[Recording]) -> Iterable[Problem]:
    """Yield the connections that ended without an answer."""
    same = [recording for recording in recordings if recording.head is None and recording.ending]
    if not same:
        return
    after_s = same[0].ended_s
    seen = f"{printable(same[0].reason)} after {after_s:.1f} s{_whose(after_s)}"
    figures = {"afterMs": after_s * 1000}
    yield Problem("no-answer", "does not answer", seen, "silence", "", "fail", len(same), figures)


def longest_pause_s(recordings: Iterable[Recording]) -> float:
    """Return the longest time without a byte in answers."""
    times = ([0.0, *(arrival.at_s for arrival in each.arrivals)] for each in recordings)
    return max((after - before for each in times for before, after in pairwise(each)), default=0.0)


def _cut(streams: Sequence[Recording], server_pause_s: float | None) -> Iterable[Problem]:
    """Yield the answers that the network cut, with the limit of time that does it."""
    cut = [recording for recording in streams if recording.ending in ("cut", "silent")]
    if not cut:
        return
    silences = [recording.ended_s - recording.last_s for recording in cut]
    is_silence = all(_is_limit_of_silence(recording, server_pause_s) for recording in cut)
    # A proxy may stop to forward, and close later.
    ages = [each.last_s if each.ended_s - each.last_s > SILENCE_S else each.ended_s for each in cut]
    times = silences if is_silence else ages
    limit_s = times[0]
    what = "without a byte" if is_silence else "after the request"
    is_limit = bool(known_time(limit_s)) or (len(times) > 1 and _are_same(times))
    tokens = sum(arrival.texts or arrival.events for arrival in cut[0].arrivals)
    reason = printable(cut[0].reason)
    seen = f"{limit_s:.1f} s {what}{_whose(limit_s)}, with {tokens} tokens ({reason})"
    cause = "silence" if is_silence else "age"
    code, predicate = "cut-at-limit" if is_limit else "cut", "cuts answers"
    if cut[0].ending == "silent":
        code, predicate = "no-end", "does not end answers"
        seen = f"still open after {cut[0].ended_s:.0f} s, {silences[0]:.0f} s without a byte"
    figures = {"afterMs": limit_s * 1000, "silenceMs": silences[0] * 1000, "tokens": tokens}
    yield Problem(code, predicate, seen, cause, "", "fail", len(cut), figures)


def _is_limit_of_silence(recording: Recording, server_pause_s: float | None) -> bool:
    """Return whether a silence was the reason for a cut: the server was silent for so long."""
    silence_s = recording.ended_s - recording.last_s
    if silence_s < SILENCE_S:
        return False
    if silence_s <= LATE_CLOSE_S:
        return server_pause_s is not None and server_pause_s >= _PAUSE_SHARE * silence_s
    return silence_s >= _MORE_THAN_A_PAUSE * longest_pause_s([recording])


def _without_end(streams: Sequence[Recording], has_end: bool) -> Iterable[Problem]:
    """Yield the answers that are complete for HTTP, but lack the event that ends the stream."""
    ended = [r for r in streams if r.ending == "complete" and not r.error and _has_tokens(r)]
    same = [recording for recording in ended if not recording.end_marker]
    if not same or not (has_end or any(recording.end_marker for recording in ended)):
        return
    after_s = same[0].ended_s
    seen = f"the end, such as [DONE], is missing after {after_s:.1f} s{_whose(after_s)}"
    figures = {"afterMs": after_s * 1000}
    yield Problem("end-missing", "cuts answers", seen, "age", "", "fail", len(same), figures)


def _reported_errors(streams: Sequence[Recording]) -> Iterable[Problem]:
    same = [recording for recording in streams if recording.error]
    if same:
        seen = same[0].error
        advice = "look at the log of the server"
        yield Problem(
            "error-in-stream", "reports an error in the stream", seen, "", advice, "fail", len(same)
        )


def _not_streams(way: Way) -> Iterable[Problem]:
    """Yield the answers of success that are no stream: one JSON value, or a page."""
    same = [recording for recording in way.streams if _is_no_stream(recording)]
    if not same:
        return
    kind = same[0].header("content-type").partition(";")[0].strip() or "no Content-Type"
    seen = f"{same[0].status} with {printable(kind)[:60]}"
    is_page = "html" in kind
    if is_page and (reason := _reason(same[0])):
        seen += f": {reason}"
    if is_page:
        advice = "check the URL, and give --header if a login is needed"
    elif way.request.is_stream_asked:
        advice = "check the path and the model: this one does not stream"
    else:
        advice = 'put "stream": true into the body'
    yield Problem("not-a-stream", "answers all at once", seen, "", advice, "fail", len(same))


def _without_tokens(streams: Sequence[Recording]) -> Iterable[Problem]:
    """Yield the streams that end without a token."""
    same = [
        recording
        for recording in streams
        if recording.ending == "complete"
        and not (recording.error or _has_tokens(recording) or _is_no_stream(recording))
    ]
    if same:
        size = sum(arrival.body_bytes for arrival in same[0].arrivals)
        seen = f"{same[0].status} with {size:,} bytes"
        advice = "check that the body asks for a text, and look at the log of the server"
        yield Problem("no-tokens", "sends no token", seen, "", advice, "fail", len(same))


def _has_tokens(recording: Recording) -> bool:
    return not _is_no_stream(recording) and any(
        arrival.events or not recording.is_decoded for arrival in recording.arrivals
    )


def _is_no_stream(recording: Recording) -> bool:
    # Without a byte of it, the format is not known.
    if recording.ending != "complete" or recording.format in ("", "event stream"):
        return False
    kind = recording.header("content-type").lower()
    if recording.format != "text":
        return sum(arrival.events for arrival in recording.arrivals) <= 1
    # A JSON array may arrive bit by bit.
    span_s = recording.last_s - recording.arrivals[0].at_s
    return "html" in kind or ("json" in kind and span_s < WHOLE_S)


def _are_same(times: Sequence[float]) -> bool:
    return max(times) - min(times) <= max(SAME_TIME_S, SAME_TIME_SHARE * max(times))


def _whose(seconds: float) -> str:
    known = known_time(seconds)
    return f" ({known})" if known else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _reason(recording: Recording) -> str:
    """Return the message of an error: of JSON, of a page's title, or the first line of a text."""
    text = recording.first_bytes.decode(errors="replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = title[1].strip() if title else ""
    elif text.startswith("{"):
        text = _json_message(text)
    line = printable(next(iter(text.splitlines()), "").strip())[:MAX_LINE_CHARS]
    # A page's title repeats the status.
    return "" if line.startswith(str(recording.status)) else line


def _json_message(text: str) -> str:
    """Return the message in the JSON of an error, as APIs write it; else the JSON."""
    try:
        value = msgspec.json.decode(text)
    except DECODE_ERRORS:
        return text
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(name):
            value = value[name]
    return value if isinstance(value, str) else text

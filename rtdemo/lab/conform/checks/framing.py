"""Lines, blocks and the encoding of the stream (WHATWG HTML sections 9.2.5 and 9.2.6)."""

from __future__ import annotations

from collections.abc import Callable

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, untested
from rtdemo.lab.conform.clauses import html
from rtdemo.lab.conform.event_lines import BOM, FIELD_NAMES, Line

MAX_EVENT_S = 1.0
"""Seconds for an event to be complete, from its first line."""
LATE_END_S = 0.5
"""Seconds between an event's last line and the blank line after which the event counts as held back."""
MAX_EVENT_BYTES = 1024 * 1024
"""Size of an event in bytes above which clients may refuse it."""
_SHOWN = 60


def show(text: bytes) -> str:
    """Return the beginning of some bytes of the stream, readable."""
    return repr(text[:_SHOWN].decode(errors="backslashreplace")) + ("…" if len(text) > _SHOWN else "")


def _is_stray(line: Line) -> bool:
    """Return whether a line cannot be meant as a field: it is text of a message."""
    name = line.name.removeprefix(BOM)
    if name in FIELD_NAMES or _is_misspelt(name):
        return False
    is_word = name.replace(b"-", b"").replace(b"_", b"").isalnum() and not name[:1].isdigit()
    return b":" not in line.text or not is_word


def _is_misspelt(name: bytes) -> bool:
    return name not in FIELD_NAMES and name.strip().lower() in FIELD_NAMES


def _no_line(predicate: Callable[[Line], bool], what: str) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content if no field is of a kind.

    Arguments:
        predicate: whether a field is of this kind.
        what: the kind, as the end of "3 of 20 field lines ...".
    """

    def judge(evidence: Evidence) -> Outcome:
        fields = evidence.lines.fields
        bad = [line for line in fields if predicate(line)]
        if bad:
            return missed(f"{len(bad)} of {len(fields)} field lines {what}: {show(bad[0].text)}")
        return (
            met(f"none of {len(fields)} field lines {what}") if fields else untested("no field arrived")
        )

    return judge


def _utf8(evidence: Evidence) -> Outcome:
    lines = evidence.lines
    if lines.bad_utf8:
        return missed(f"bytes that are not UTF-8: {lines.bad_utf8!r}")
    return met(f"all {lines.size_bytes} bytes are UTF-8")


def _bom(evidence: Evidence) -> Outcome:
    lines = evidence.lines
    inside = [line for line in lines.fields if line.text.startswith(BOM)]
    if inside:
        return missed(
            f"{len(inside)} lines after the first begin with one, such as {show(inside[0].text)}"
        )
    return met("one at the start, which clients drop" if lines.has_bom else "no byte order mark")


def _is_blank_line_missing(evidence: Evidence) -> Outcome:
    lines = evidence.lines
    waiting = [line for line in lines.pending.lines if line.name == b"data"]
    if lines.events:
        return met(f"a blank line follows each of {len(lines.events)} events")
    age = evidence.stream.seconds - waiting[0].at if waiting else 0
    if not waiting or (age < MAX_EVENT_S and not evidence.stream_ended):
        return untested("no data line arrived")
    return missed(f"{len(waiting)} data lines and no blank line: clients dispatch no event")


def _last_event(evidence: Evidence) -> Outcome:
    lines = evidence.lines
    if not evidence.stream_ended:
        return untested("the server did not end the stream")
    lost = [line.text for line in lines.pending.lines if not line.is_comment]
    if lines.rest:
        return missed(f"the last line has no end, so clients drop it: {show(lines.rest)}")
    if lost:
        return missed(f"no blank line after the last {len(lost)} lines, such as {show(lost[0])}")
    return met("the last event is complete")


def _dispatched_at_once(evidence: Evidence) -> Outcome:
    waits = [block.at - block.lines[-1].at for block in evidence.lines.events if block.at is not None]
    pending = evidence.lines.pending
    if any(line.name == b"data" for line in pending.lines) and not evidence.stream_ended:
        waits.append(evidence.stream.seconds - pending.lines[-1].at)
    longest = max(waits, default=0.0)
    figures = {"longestWaitMs": round(longest * 1000, 1)}
    late = sum(wait > LATE_END_S for wait in waits)
    if late:
        return missed(
            f"the blank line came up to {longest:.1f} s after the event's last line, in {late} of"
            f" {len(waits)} events",
            **figures,
        )
    return met(f"the blank line of {len(waits)} events comes with them", **figures)


def _uniform_ends(evidence: Evidence) -> Outcome:
    ends = evidence.lines.line_ends
    seen = ", ".join(f"{count} {name}" for name, count in ends.most_common())
    if not ends:
        return untested("no line end arrived")
    return met(seen) if len(ends) == 1 else missed(seen)


def _no_cr_alone(evidence: Evidence) -> Outcome:
    ends = evidence.lines.line_ends
    if not ends:
        return untested("no line end arrived")
    if ends["CR"]:
        return missed(f"{ends['CR']} of {ends.total()} lines end with CR alone")
    return met(f"none of {ends.total()} lines ends with CR alone")


def _size(evidence: Evidence) -> Outcome:
    sizes = [sum(len(line.text) + 1 for line in block.lines) for block in evidence.lines.events]
    largest = max(sizes)
    seen = f"the largest of {len(sizes)} events has {largest} bytes"
    figures = {"largestEventBytes": largest}
    return met(seen, **figures) if largest <= MAX_EVENT_BYTES else missed(seen, **figures)


def _framed_twice(evidence: Evidence) -> Outcome:
    data = [block.data for block in evidence.lines.events]
    bad = [text for text in data if text.startswith((b"data:", b"event:"))]
    what = "begins with data: or event:"
    if bad and len(bad) == len(data):
        return missed(f"the data of {len(bad)} of {len(data)} events {what}, such as {show(bad[0])}")
    return met(f"of {len(data)} events, the data of {len(bad) or 'none'} {what}")


def _mixed_spaces(evidence: Evidence) -> Outcome:
    values = [line.text[5:] for line in evidence.lines.fields if line.text.startswith(b"data:")]
    spaced = sum(value.startswith(b" ") for value in values)
    bare = sum(bool(value) and not value.startswith(b" ") for value in values)
    seen = f"a space follows the colon in {spaced} of {spaced + bare} data lines"
    return missed(seen) if spaced and bare else met(seen)


_FIELD_FIX = "Write each line of a message as a data line of its own: split it at CRLF, LF and CR."

CHECKS = (
    Check(
        "utf-8",
        "framing",
        "MUST",
        html("9.2.5"),
        "The stream is UTF-8.",
        "Encode all text as UTF-8, and write no part of a character without the rest.",
        _utf8,
        needs="bytes",
    ),
    Check(
        "byte-order-mark",
        "framing",
        "SHOULD",
        html("9.2.6"),
        "A byte order mark is only at the start of the stream; before a later field it hides the field.",
        "Do not encode with a byte order mark (utf-8-sig and the like) for each write.",
        _bom,
        needs="bytes",
    ),
    Check(
        "blank-line-ends-event",
        "framing",
        "MUST",
        html("9.2.5"),
        "A blank line ends each event; without it, clients dispatch nothing.",
        "End each event with an empty line: write two line ends after its last field.",
        _is_blank_line_missing,
        needs="bytes",
    ),
    Check(
        "last-event-complete",
        "framing",
        "MUST",
        html("9.2.5"),
        "A stream that the server ends has a blank line after its last event; clients drop the rest.",
        "Write the empty line of the last event before the stream ends.",
        _last_event,
        needs="bytes",
    ),
    Check(
        "event-dispatched-at-once",
        "framing",
        "advice",
        html("9.2.6"),
        "The blank line comes with its event, not before the next one: clients wait for it.",
        "Write the empty line after each event instead of before it, and flush both together.",
        _dispatched_at_once,
        needs="events",
    ),
    Check(
        "stray-lines",
        "framing",
        "SHOULD",
        html("9.2.6"),
        "Each line of a message begins with data: and no text of it becomes a line of its own.",
        _FIELD_FIX,
        _no_line(_is_stray, "are no field, so clients drop them"),
        needs="bytes",
    ),
    Check(
        "field-name-case",
        "framing",
        "SHOULD",
        html("9.2.6"),
        "Field names are in lower case; clients compare them literally.",
        "Write data, event, id and retry in lower case.",
        _no_line(
            lambda line: _is_misspelt(line.name) and line.name == line.name.strip(),
            "have another case, so clients drop them",
        ),
        needs="bytes",
    ),
    Check(
        "field-name-spaces",
        "framing",
        "SHOULD",
        html("9.2.6"),
        "No space is before a field name, or between it and the colon.",
        "Write the field name at the start of the line, and the colon directly after it.",
        _no_line(
            lambda line: _is_misspelt(line.name) and line.name != line.name.strip(),
            "have spaces around the name, so clients drop them",
        ),
        needs="bytes",
    ),
    Check(
        "field-names-known",
        "framing",
        "advice",
        html("9.2.6"),
        "Fields are data, event, id and retry; clients drop all others.",
        "Put other values into the data, for example as JSON.",
        _no_line(
            lambda line: (
                line.name not in FIELD_NAMES
                and not _is_misspelt(line.name)
                and not _is_stray(line)
                and not line.text.startswith(BOM)
            ),
            "have an unknown name, so clients drop them",
        ),
        needs="bytes",
    ),
    Check(
        "line-ends-uniform",
        "framing",
        "advice",
        html("9.2.5"),
        "All lines end in the same way; mixed ends often come from text with its own line ends.",
        "Split messages at CRLF, LF and CR, and end each line with LF.",
        _uniform_ends,
        needs="bytes",
    ),
    Check(
        "no-cr-alone",
        "framing",
        "advice",
        html("9.2.5"),
        "No line ends with CR alone. It is allowed, but many clients do not read it.",
        "End lines with LF.",
        _no_cr_alone,
        needs="bytes",
    ),
    Check(
        "space-after-colon",
        "framing",
        "advice",
        html("9.2.6"),
        "All data lines have a space after the colon, or none has. Clients drop one space: if the server"
        " adds none, text that begins with a space loses it.",
        "Write `data: ` with a space before each line of a message.",
        _mixed_spaces,
        needs="events",
    ),
    Check(
        "not-wrapped-twice",
        "framing",
        "advice",
        html("9.2.6"),
        "The data of an event is the message, and no event in itself.",
        "Give the framework the message alone: it adds data: and the blank line itself.",
        _framed_twice,
        needs="events",
    ),
    Check(
        "event-size",
        "framing",
        "advice",
        html("9.2.6"),
        "No event is larger than 1 MiB; clients and proxies limit it.",
        "Send a reference to large content, or send it in parts.",
        _size,
        needs="events",
    ),
)

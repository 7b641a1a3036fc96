"""Event IDs (WHATWG HTML sections 9.2.4 and 9.2.6)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, untested
from rtdemo.lab.conform.checks.framing import show
from rtdemo.lab.conform.clauses import html

MAX_ID_BYTES = 1024
"""Longest event ID, in bytes, that servers and proxies surely accept in a header."""


def _values(evidence: Evidence) -> list[bytes]:
    return [line.value for line in evidence.lines.fields if line.name == b"id"]


def event_ids(evidence: Evidence) -> list[bytes]:
    """Return the IDs that events of the stream set, in order."""
    return [block.id for block in evidence.lines.events if block.id]


def _present(evidence: Evidence) -> Outcome:
    events = evidence.lines.events
    with_id = sum(bool(block.values(b"id")) for block in events)
    seen = f"{with_id} of {len(events)} events have an id"
    return met(seen) if with_id else missed(seen)


def _no_null(evidence: Evidence) -> Outcome:
    values = _values(evidence)
    bad = [value for value in values if b"\0" in value]
    return (
        missed(f"{len(bad)} ids have one: {show(bad[0])}") if bad else met(f"none in {len(values)} ids")
    )


def _unique(evidence: Evidence) -> Outcome:
    ids = event_ids(evidence)
    repeated = sorted(value for value, count in Counter(ids).items() if count > 1)
    if repeated:
        return missed(f"{len(repeated)} ids stand at several events, such as {show(repeated[0])}")
    return met(f"{len(ids)} different ids")


def _ordered(evidence: Evidence) -> Outcome:
    ids = event_ids(evidence)
    if len(ids) < 2 or not all(value.isdigit() and len(value) < 20 for value in ids):
        return untested("the ids are no numbers" if len(ids) > 1 else "fewer than two events have an id")
    numbers = [int(value) for value in ids]
    for before, after in pairwise(numbers):
        if after < before:
            return missed(f"{after} comes after {before}")
    return met(f"{numbers[0]} to {numbers[-1]}, ascending")


def _no_reset(evidence: Evidence) -> Outcome:
    values = _values(evidence)
    empty = sum(not value for value in values)
    if empty and empty < len(values):
        return missed(f"{empty} of {len(values)} ids are empty")
    return missed("all ids are empty") if empty else met(f"none of {len(values)} ids is empty")


def _spaces(evidence: Evidence) -> Outcome:
    values = _values(evidence)
    bad = [value for value in values if value != value.strip(b" \t")]
    return (
        missed(f"{len(bad)} ids have one, such as {show(bad[0])}") if bad else met(f"{len(values)} ids")
    )


def _ascii(evidence: Evidence) -> Outcome:
    values = _values(evidence)
    bad = [
        value for value in values if any(not 0x20 <= byte < 0x7F for byte in value.replace(b"\0", b""))
    ]
    if bad:
        return missed(f"{len(bad)} of {len(values)} ids have other characters, such as {show(bad[0])}")
    return met(f"{len(values)} ids in printable ASCII")


def _length(evidence: Evidence) -> Outcome:
    longest = max(map(len, _values(evidence)))
    seen, figures = f"the longest id has {longest} bytes", {"longestIdBytes": longest}
    return met(seen, **figures) if longest <= MAX_ID_BYTES else missed(seen, **figures)


CHECKS = (
    Check(
        "id-present",
        "ids",
        "advice",
        html("9.2.4"),
        "Events have ids: only then a client that was cut can ask for what it missed.",
        "Give each event an id that finds its place in your data again. Or ignore this.",
        _present,
        needs="events",
    ),
    Check(
        "id-no-null",
        "ids",
        "SHOULD",
        html("9.2.6"),
        "No id contains U+0000 NULL; clients drop such an id.",
        "Remove NUL characters from ids.",
        _no_null,
        needs="ids",
    ),
    Check(
        "id-unique",
        "ids",
        "advice",
        html("9.2.4"),
        "No two events have the same id; else a client that reconnects cannot name its place.",
        "Number the events.",
        _unique,
        needs="ids",
    ),
    Check(
        "id-ascending",
        "ids",
        "advice",
        html("9.2.4"),
        "Ids that are numbers ascend.",
        "Send events in the order of their ids, or give ids in the order of sending.",
        _ordered,
        needs="ids",
    ),
    Check(
        "id-not-reset",
        "ids",
        "advice",
        html("9.2.6"),
        "No id is empty: an empty id makes the client forget its place.",
        "Leave the id field out of events that have none.",
        _no_reset,
        needs="ids",
    ),
    Check(
        "id-no-outer-spaces",
        "ids",
        "advice",
        html("9.2.4"),
        "No id begins or ends with a space or tab: it does not survive in a header.",
        "Remove spaces around ids.",
        _spaces,
        needs="ids",
    ),
    Check(
        "id-ascii",
        "ids",
        "advice",
        html("9.2.4"),
        "Ids have printable ASCII only: others come back as UTF-8 bytes in a header, which many servers"
        " refuse or misread.",
        "Use digits and letters.",
        _ascii,
        needs="ids",
    ),
    Check(
        "id-length",
        "ids",
        "advice",
        html("9.2.4"),
        "No id has more than 1024 bytes: it must fit into a request header.",
        "Send a short id that stands for the state.",
        _length,
        needs="ids",
    ),
)

"""The fields `event` and `retry` (WHATWG HTML section 9.2.6)."""

from __future__ import annotations

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, untested
from rtdemo.lab.conform.checks.framing import show
from rtdemo.lab.conform.clauses import html

RESERVED_TYPES = (b"open", b"error")
"""Types of the events that an EventSource makes itself (WHATWG HTML section 9.2.3)."""
RETRY_MS = (100, 300_000)
"""Plausible bounds of a reconnection time, in milliseconds."""


def _types(evidence: Evidence) -> list[bytes]:
    return [line.value for line in evidence.lines.fields if line.name == b"event"]


def _event_has_data(evidence: Evidence) -> Outcome:
    blocks = [block for block in evidence.lines.blocks if block.values(b"event")]
    # Data under a misspelt name is another check's subject.
    empty = [
        block
        for block in blocks
        if not any(line.name.strip().lower() == b"data" for line in block.lines)
    ]
    if not blocks:
        return untested("no event has a type")
    if empty:
        kind = show(empty[0].values(b"event")[-1])
        return missed(f"{len(empty)} of {len(blocks)} events with a type have no data, such as {kind}")
    return met(f"all {len(blocks)} events with a type have data")


def _one_type(evidence: Evidence) -> Outcome:
    doubled = [block for block in evidence.lines.events if len(block.values(b"event")) > 1]
    if doubled:
        types = ", ".join(map(show, doubled[0].values(b"event")))
        return missed(f"{len(doubled)} events have several types, such as {types}")
    return met("no event has several types")


def _type_spaces(evidence: Evidence) -> Outcome:
    types = _types(evidence)
    bad = [kind for kind in types if kind != kind.strip()]
    if not types:
        return untested("no event has a type")
    return (
        missed(f"{len(bad)} types have one, such as {show(bad[0])}")
        if bad
        else met(f"{len(types)} types")
    )


def _type_reserved(evidence: Evidence) -> Outcome:
    types = _types(evidence)
    bad = [kind for kind in types if kind in RESERVED_TYPES]
    if not types:
        return untested("no event has a type")
    if bad:
        return missed(f"{len(bad)} events have the type {show(bad[0])}")
    return met(", ".join(sorted({show(kind) for kind in types})[:5]))


def _retries(evidence: Evidence) -> list[bytes]:
    return [line.value for line in evidence.lines.fields if line.name == b"retry"]


def _retry_digits(evidence: Evidence) -> Outcome:
    values = _retries(evidence)
    bad = [value for value in values if not value.isdigit()]
    if not values:
        return untested("the stream has no retry field")
    if bad:
        return missed(
            f"{len(bad)} of {len(values)} values are dropped by clients, such as {show(bad[0])}"
        )
    return met(", ".join(value[:20].decode() for value in sorted(set(values))[:5]) + " ms")


def _retry_plausible(evidence: Evidence) -> Outcome:
    # The length is limited: Python converts no number of thousands of digits.
    values = [int(value[:18]) for value in _retries(evidence) if value.isdigit()]
    if not values:
        return untested("the stream has no valid retry field")
    figures = {"shortestRetryMs": min(values), "longestRetryMs": max(values)}
    if min(values) < RETRY_MS[0]:
        return missed(f"retry: {min(values)} ms: clients reconnect without a pause", **figures)
    if max(values) > RETRY_MS[1]:
        return missed(f"retry: {max(values)} ms: clients stay away for minutes", **figures)
    return met(f"{min(values)} to {max(values)} ms", **figures)


CHECKS = (
    Check(
        "event-has-data",
        "fields",
        "advice",
        html("9.2.6"),
        "An event with a type has data, even if it is empty: without data, clients dispatch nothing.",
        "Add a line `data:` to events without content.",
        _event_has_data,
        needs="bytes",
    ),
    Check(
        "one-event-type",
        "fields",
        "advice",
        html("9.2.6"),
        "An event has one type; of several, the last one counts.",
        "Write a blank line between two events.",
        _one_type,
        needs="events",
    ),
    Check(
        "event-type-spaces",
        "fields",
        "advice",
        html("9.2.6"),
        "No type begins or ends with a space: it would be part of the name that a listener needs.",
        "Remove spaces around the type.",
        _type_spaces,
        needs="events",
    ),
    Check(
        "event-type-reserved",
        "fields",
        "advice",
        html("9.2.3"),
        "No type is `open` or `error`: EventSource dispatches events with these types itself.",
        "Give the type another name, such as `failure`.",
        _type_reserved,
        needs="events",
    ),
    Check(
        "retry-digits",
        "retry",
        "SHOULD",
        html("9.2.6"),
        "retry is a number of milliseconds in ASCII digits; clients drop any other value.",
        "Write milliseconds without a unit, sign, point or space, such as `retry: 3000`.",
        _retry_digits,
        needs="bytes",
    ),
    Check(
        "retry-plausible",
        "retry",
        "advice",
        html("9.2.3"),
        "retry is between 100 ms and 5 minutes.",
        "Send 1000 to 10000, different for each client, so that not all reconnect at the same time.",
        _retry_plausible,
        needs="bytes",
    ),
)

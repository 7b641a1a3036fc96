"""One finding about a token stream, and who is at fault."""

from __future__ import annotations

from typing import Literal

import msgspec

from rtdemo.plugin_system.checks import Verdict

Fault = Literal["proxy", "server", "unknown", "none"]

SUBJECTS: dict[Fault, str] = {
    "proxy": "The proxy",
    "server": "The server",
    "unknown": "The server or a proxy",
    "none": "",
}
"""Beginning of a sentence about who is at fault."""
CANNOT_TELL = "cannot tell whether a proxy or the server does it: give --direct URL of the server itself"


class Finding(msgspec.Struct, rename="camel", frozen=True):
    """One finding.

    Arguments:
        code: which one, for programs; docs/token-streams.md lists them.
        verdict: `ok`, `warn` or `fail`.
        fault: who is at fault.
        http: versions of HTTP over which it was seen; empty for none.
        seen: what was seen, in one sentence with figures.
        details: what else shows it, in short sentences.
        fixes: what to do; several lines if there are several proxies, or nothing to do if empty.
        figures: numbers, by name with unit.
    """

    code: str
    verdict: Verdict
    fault: Fault
    http: list[str]
    seen: str
    details: list[str] = msgspec.field(default_factory=list)
    fixes: list[str] = msgspec.field(default_factory=list)
    figures: dict[str, float] = msgspec.field(default_factory=dict)

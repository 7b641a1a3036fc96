"""Checks that plugins add to `rtdemo doctor`, and their findings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """A check that a plugin adds to `rtdemo doctor`.

    Arguments:
        name: one or two words, printed before the finding.
        run: a sync or async function. It gets the server's address, such as `https://example.org`,
            and returns the `Finding`. If it raises, the check has failed.
    """

    name: str
    run: Callable[[str], Finding | Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check.

    Arguments:
        verdict: `ok`, `warn` (it works, but not as it should) or `fail` (it does not work).
        seen: what the check found, in one line, with figures and their units.
        fix: what to do about it, in one line; empty if there is nothing to do.
    """

    verdict: Verdict
    seen: str
    fix: str = ""

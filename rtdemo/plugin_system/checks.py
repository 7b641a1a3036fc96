"""Define a check of `rtdemo doctor`: what plugins add to it, and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Say what a check has found.

    Arguments:
        verdict: `ok`, `warn` where it works but not as it should, `fail` where it does not work.
        seen: what was seen, in one line.
        fix: what to do, in one line; empty where nothing is to be done.
    """

    verdict: Verdict
    seen: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Hold a check that a plugin adds.

    Arguments:
        name: a word or two, as it stands before its line.
        run: called with the server's address, such as `https://example.org`; sync or async. What it
            raises is a failed check.
    """

    name: str
    run: Callable[[str], Finding | Awaitable[Finding]]

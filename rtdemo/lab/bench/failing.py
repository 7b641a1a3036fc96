"""Which measured producers failed during a run, from two answers of /api/producers."""

from __future__ import annotations

import aiohttp

from rtdemo.errors import ServerError, printable
from rtdemo.lab.bench.result import Finding
from rtdemo.lab.bench.target import ProducerInfo, Target, fetch_server_info

UP_STATES = ("running", "published")
"""States of a producer that works."""
MAX_NAMED = 3
"""Producers that are named."""
_MAX_NAME_LENGTH = 40
_MAX_ERROR_LENGTH = 200


async def warnings(http: aiohttp.ClientSession, target: Target) -> list[Finding]:
    """Return one warning for each measured producer that has failed since the run began.

    Arguments:
        http: makes the request.
        target: with what the server reported before the run.
    """
    if not target.server_info.version:
        return []
    try:
        now = await fetch_server_info(http, target.address)
    except ServerError:
        # It answered before the run, and what was measured since then stays.
        return []
    measured = target.producers.split(",")
    found = sentences(target.server_info.producers, [p for p in now.producers if p.name in measured])
    return [Finding("producer-failed", sentence) for sentence in found]


def sentences(before: tuple[ProducerInfo, ...], now: list[ProducerInfo]) -> list[str]:
    """Return one sentence for each producer that failed between two answers, or does not work.

    Arguments:
        before: all that the server listed first.
        now: of which to write.
    """
    known = {(producer.name, producer.transports): producer for producer in before}
    found = [_sentence(one, known.get((one.name, one.transports))) for one in now]
    failing = [sentence for sentence in found if sentence]
    more = len(failing) - MAX_NAMED
    return [*failing[:MAX_NAMED], f"{more} more producers failed"] if more > 0 else failing


def _sentence(now: ProducerInfo, before: ProducerInfo | None) -> str:
    """Return what a producer does; empty if it works."""
    runs, failures = now.runs, now.failures
    # Counts fall when the server or the plugin has been replaced.
    if before is not None and before.failures <= failures and before.runs <= runs:
        runs, failures = runs - before.runs, failures - before.failures
    if not failures and now.state in UP_STATES:
        return ""
    # An async generator counts its values as runs.
    times = "once" if failures == 1 else f"{failures} times"
    words = f"failed {times}" if now.stream else f"failed {failures} of {runs} runs"
    if not failures:
        words = f"is {now.state}"
    error = now.last_error or "see the server's log"
    name = printable(repr(now.name[:_MAX_NAME_LENGTH]))
    return f"producer {name} {words}: {printable(error[:_MAX_ERROR_LENGTH])}"

"""Run the suite on a server."""

from __future__ import annotations

from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report, judge
from rtdemo.lab.conform.run import Suite

SECONDS = 3.0
"""Seconds for which a stream is read: 60 events of the seeded server, or 20 on a busy machine."""


async def report_on(target: Target) -> Report:
    """Return the report on a stream."""
    suite = Suite(target, SECONDS)
    await suite.run()
    return judge(suite.evidence, suite.checks)


def codes(report: Report, *verdicts: str) -> set[str]:
    """Return the ids of the checks with one of these verdicts."""
    return {result.code for result in report.checks if result.verdict in verdicts}

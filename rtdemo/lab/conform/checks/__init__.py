"""The checks, one module for each subject."""

from __future__ import annotations

from rtdemo.lab.conform.check import GROUPS, Check
from rtdemo.lab.conform.checks import (
    connections,
    fields,
    framing,
    headers,
    ids,
    methods,
    negotiation,
    requests,
    responses,
    resume,
    timing,
)

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (
            *framing.CHECKS,
            *fields.CHECKS,
            *ids.CHECKS,
            *resume.CHECKS,
            *timing.CHECKS,
            *responses.CHECKS,
            *headers.CHECKS,
            *requests.CHECKS,
            *negotiation.CHECKS,
            *methods.CHECKS,
            *connections.CHECKS,
        ),
        key=lambda check: GROUPS.index(check.group),
    )
)
"""All checks, by group."""

"""The error of a step that failed, and the end of an output to show with it."""

from __future__ import annotations

_TAIL_LINES = 20
"""Lines of a failed step's output, or of a log, that are printed."""


class StepError(Exception):
    """Report a step that failed, in one line or with the end of its output."""


def tail(output: str) -> str:
    """Return the last lines of an output."""
    return "\n".join(output.splitlines()[-_TAIL_LINES:])

"""Run the command `rtdemo`: in the test's own process, where a start of Python would take a second.

Commands that get a signal, or whose descriptors matter, run as a program.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NamedTuple
from unittest import mock

import pytest

from rtdemo.cli.main import main


def program(progress_s: float = 1e6) -> tuple[str, ...]:
    """Return the start of a command line that runs `rtdemo`.

    Arguments:
        progress_s: seconds from one line of progress to the next. By default none is due, so that what
            a command prints does not depend on how fast the machine is.
    """
    code = f"from rtdemo.cli import main, progress; progress.PIPE_PERIOD_S = {progress_s}; main.main()"
    return (sys.executable, "-c", code)


class Ended(NamedTuple):
    """The exit code and the output of a command."""

    code: object
    out: str
    err: str


def run_in_process(*arguments: str) -> Ended:
    """Run `rtdemo` with these arguments, for a command that ends without a signal."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["rtdemo", *arguments]),
        mock.patch.object(sys, "path", [*sys.path]),
        mock.patch("rtdemo.cli.logs.setup"),  # it sets up the logs of the whole process
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    return Ended(exit_.value.code, out.getvalue(), err.getvalue())

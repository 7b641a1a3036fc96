"""Offer the commands."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click

from rtdemo import __version__
from rtdemo.cli.command_group import ClosedPipeError, DefaultGroup
from rtdemo.errors import RtdemoError

INTERRUPTED = 130
IO_ERROR = 74
"""EX_IOERR of sysexits.h: no command has it for what it found."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
COMMANDS = ("serve", "plugins", "publish", "tail", "doctor", "bench")


# `rtdemo --port 4000` is `rtdemo serve --port 4000`.
@click.group(
    cls=DefaultGroup,
    default="serve",
    modules={name: f"rtdemo.cli.{name}" for name in COMMANDS},
)
@click.version_option(__version__, message="rtdemo %(version)s")
def rtdemo() -> None:
    """Put Python on a live web page over WebSocket and Server-Sent Events.

    Without a command, serve. All flags of that: rtdemo serve --help
    """


def main() -> None:
    """Run the command line; every error is one line on standard error and an exit code."""
    try:
        code = rtdemo(prog_name="rtdemo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        _leave(error.format_message(), error.exit_code)
    except RtdemoError as error:
        _leave(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except (ClosedPipeError, BrokenPipeError):
        _leave_pipe()
    except OSError as error:
        _leave_output(error)
    else:
        sys.exit(code)


def _leave(sentence: str, code: int) -> None:
    line = " ".join(sentence.split())
    print(f"rtdemo: {line}", file=sys.stderr)
    sys.exit(code)


def _leave_pipe() -> None:
    """End as every filter does whose output nobody reads; servers must not, so it is no handler."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(1)


def _leave_output(error: OSError) -> None:
    # What is still to be written would fail once more at the very end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL and not error.filename:
        where = "the output cannot be written: "
    _leave(f"{where}{error.strerror or error}", IO_ERROR)

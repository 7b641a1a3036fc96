"""The command `rtdemo`: its subcommands, errors and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import click

from rtdemo import __version__
from rtdemo.cli.command_group import ClosedPipeError, DefaultGroup
from rtdemo.errors import RtdemoError

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus SIGINT."""
EXIT_IO_ERROR = 74
"""Exit code if the output cannot be written: EX_IOERR of sysexits.h, which no command uses otherwise."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Errors without a file name that come from writing the output."""
COMMANDS = {
    "bench": "Measure WebSocket and SSE of a server, and compare them.",
    "conform": "Test an event stream of any server against the standards.",
    "doctor": "Check your proxy for both transports, and print fixes.",
    "plugins": "List plugins, write a new one, or check one.",
    "publish": "Publish a message to all connected clients.",
    "serve": "Serve the page and its streams.",
    "storm": "End a server under many clients, and measure how they come back.",
    "tail": "Print the messages of a server as they arrive.",
}
"""Every command, with its line in the help."""


# `rtdemo --port 4000` is `rtdemo serve --port 4000`.
@click.group(cls=DefaultGroup, default="serve", package="rtdemo.cli", summaries=COMMANDS)
@click.version_option(__version__, message="rtdemo %(version)s")
def rtdemo() -> None:
    """Put Python on a live web page over WebSocket and Server-Sent Events.

    Without a command, it runs serve. For the options of serve: rtdemo serve --help
    """


def main() -> None:
    """Run the command line. An error is one line on standard error, and an exit code."""
    _open_closed_files()
    try:
        code = rtdemo(prog_name="rtdemo", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        _exit(error.format_message(), error.exit_code)
    except RtdemoError as error:
        _exit(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except (ClosedPipeError, BrokenPipeError):
        _exit_closed_pipe()
    except OSError as error:
        _exit_output_error(error)
    else:
        sys.exit(code)


def _open_closed_files() -> None:
    """Open standard files that a shell closed, as by `>&-`: else a socket gets their number.

    Python has none of these, and libuv aborts a server that closes such a socket.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            file = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open until the end
            setattr(sys, name, file)


def _exit(sentence: str, code: int) -> None:
    line = " ".join(sentence.split())
    print(f"rtdemo: {line}", file=sys.stderr)
    sys.exit(code)


def _exit_closed_pipe() -> None:
    """End by SIGPIPE, as a filter does. Only here: the signal must not end a server."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(1)


def _exit_output_error(error: OSError) -> None:
    # The interpreter flushes standard output at exit, which would fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in DISK_ERRORS and not error.filename:
        where = "the output cannot be written: "
    _exit(f"{where}{error.strerror or error}", EXIT_IO_ERROR)

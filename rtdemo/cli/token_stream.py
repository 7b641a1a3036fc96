"""The flags `--post` and `--direct` of `rtdemo doctor`, which examine a token stream instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from rtdemo.cli.progress import run_until_signal
from rtdemo.errors import FileError

_POST_OPTION = click.option(
    "--post",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send this body to URL by POST, and check how the answer arrives, token by token, as that of"
    " an LLM. For any server. - is the standard input.",
)
_DIRECT_OPTION = click.option(
    "--direct",
    metavar="URL",
    help="With --post: URL of the server itself, without proxies. It shows whose fault it is. It gets"
    " the same headers.",
)


def token_stream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--post` and `--direct` to a command, which does not run where `--post` is given."""

    @wraps(command)
    def with_post(*, post: Path | None, direct: str | None, **given: Any) -> Any:
        if post is not None:
            if given["files"]:
                raise click.UsageError("FILES are plugins, which --post does not use; leave them out")
            if given["via"]:
                raise click.UsageError("--via is not for --post; give an inner address as --direct")
            return _examine(given["url"], direct, post, given["headers"], given["as_json"])
        if direct is not None:
            raise click.UsageError("--direct is for --post; for an inner address give --via")
        return command(**given)

    return _POST_OPTION(_DIRECT_OPTION(with_post))


def _examine(url: str, direct: str | None, post: Path, headers: Mapping[str, str], as_json: bool) -> int:
    """Examine the token stream of a URL; return the exit code."""
    # A run without --post needs none of it.
    from rtdemo.lab.token_stream.report import Report
    from rtdemo.lab.token_stream.request import new_request, read_body
    from rtdemo.lab.token_stream.run import Examination

    try:
        body = read_body(post)
    except FileError as error:
        raise click.UsageError(str(error)) from error
    request = new_request(url, headers, body)
    other = new_request(direct, headers, body) if direct is not None else None
    report = Report(url, direct or "", len(body))
    examination = Examination(request, other, report)
    try:
        run_until_signal(examination.run(), lambda: examination.state)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        # After Ctrl-C and SIGTERM, with what was found so far.
        if as_json:
            click.echo(report.json())
        else:
            console = Console(highlight=False, soft_wrap=True)
            for line in report.lines():
                console.print(line)
    return report.exit_code

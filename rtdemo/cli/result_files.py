"""The flags `--json` and `--html` of the commands that measure, and the files that these name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from rtdemo.errors import FileError
from rtdemo.lab.result_file import check_writable, write

FILE = click.Path(dir_okay=False, path_type=Path)


class ResultFiles(NamedTuple):
    """Files for the results.

    Arguments:
        json: complete results; None for no such file.
        html: a report; None for no such file.
    """

    json: Path | None
    html: Path | None

    def check(self) -> None:
        """Check before a run that the files can be written afterwards.

        Raises:
            FileError: if one cannot.
        """
        for file in filter(None, self):
            check_writable(file)

    def write(self, results: object, page: Callable[[], bytes]) -> FileError | None:
        """Write the files; return the error if one cannot be written, since the report is still to come.

        Arguments:
            results: a struct.
            page: returns the report.
        """
        try:
            if self.json is not None:
                write(self.json, msgspec.json.encode(results))
            if self.html is not None:
                write(self.html, page())
        except FileError as error:
            return error
        return None


_JSON = click.option("--json", "json_file", type=FILE, help="Write the complete results to a file.")
_HTML = click.option(
    "--html", "html_file", type=FILE, help="Write a report as one self-contained HTML page."
)


def result_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` and `--html` to a command, which gets both as `files`."""

    @wraps(command)
    def with_files(*arguments: Any, json_file: Path | None, html_file: Path | None, **given: Any) -> Any:
        return command(*arguments, files=ResultFiles(json_file, html_file), **given)

    return _JSON(_HTML(with_files))

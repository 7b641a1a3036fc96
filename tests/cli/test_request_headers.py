"""The flags `--token` and `--header`: what they send, and which values they refuse."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from rtdemo.cli.request_headers import request_headers


@click.command()
@request_headers
def show(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        click.echo(f"{name}={value}")


def test_headers_and_token_are_sent() -> None:
    """A header may have any value that HTTP allows; the token becomes Authorization."""
    result = CliRunner().invoke(show, ["--token", "a.b", "--header", "X-Key:  1: 2 ", "--header", "b:c"])
    assert result.output.splitlines() == ["Authorization=Bearer a.b", "X-Key=1: 2", "b=c"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("secret", "number 1 is not 'Name: value'"),
        (": secret", "number 1 is not 'Name: value'"),
        ("a b: secret", "number 1 is not 'Name: value'"),
        ("a: secret\r\nb: c", "number 1 is not 'Name: value'"),
        ("a: s\u00e9cret", "number 1 is not 'Name: value'"),
        ("Host: secret", "Host belongs to the connection"),
        ("transfer-encoding: secret", "transfer-encoding belongs to the connection"),
    ],
)
def test_invalid_headers_are_refused(given: str, why: str) -> None:
    """The error has one line, and does not repeat the value, which may be a secret."""
    result = CliRunner().invoke(show, ["--header", given])
    assert result.exit_code == 2
    assert why in result.output
    assert "secret" not in result.output

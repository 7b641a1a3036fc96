"""The server that a command looks at if no URL is given."""

from __future__ import annotations

import click
import pytest

from rtdemo.cli.conform import conform
from rtdemo.cli.doctor import doctor
from rtdemo.cli.tail import tail


@pytest.mark.parametrize("command", [tail, doctor, conform], ids=["tail", "doctor", "conform"])
@pytest.mark.parametrize(
    ("variable", "arguments", "url"),
    [
        ("", (), "http://localhost:3000"),
        ("http://localhost:4000", (), "http://localhost:4000"),
        ("http://localhost:4000", ("http://localhost:5000",), "http://localhost:5000"),
    ],
)
def test_variable_names_the_server_as_it_does_for_publishers(
    command: click.Command,
    variable: str,
    arguments: tuple[str, ...],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An argument comes first; an empty variable counts as none."""
    monkeypatch.setenv("RTDEMO_URL", variable)
    assert command.make_context(None, [*arguments]).params["url"] == url

"""Every way to publish takes the same addresses, and refuses the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner

import rtdemo
from rtdemo.cli.publish import publish as command
from rtdemo.errors import PublishError

WAYS: dict[str, Callable[[str], object]] = {
    "publish": lambda url: rtdemo.publish("x", 1, url=url),
    "asyncio": rtdemo.AsyncPublisher,
    "embed": lambda url: rtdemo.embed(url=url),
    "command": lambda url: CliRunner().invoke(command, ["x", "--to", url], catch_exceptions=False),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "url",
    ["localhost:3000", "ftp://host", "http://", "http://host:0", "http://host:x", "http://a:b@host"],
)
def test_what_is_no_server(url: str, way: str) -> None:
    """The error is raised at the call, and says what to give."""
    with pytest.raises((PublishError, ValueError), match="is not the URL of a server; give http://"):
        WAYS[way](url)

"""A server that needs a login: a token that it refuses, and one that expires during the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import ExpiredError
from rtdemo.lab.doctor.exchange import request
from rtdemo.lab.doctor.report import Report
from rtdemo.lab.doctor.run import Examination
from rtdemo.lab.doctor.websocket_client import open_socket
from rtdemo.protocol import address
from rtdemo.testing import VirtualClock
from tests.conftest import Start
from tests.lab.doctor.doctor_run import findings, served
from tests.web.login_tokens import SECRET, bearer, token

Open = Callable[[Context, str], AbstractAsyncContextManager[Any]]


async def examined(url: str, headers: dict[str, str]) -> Report:
    report = Report(url)
    await Examination(address.parse(url, headers), 1, (), report).run()
    return report


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "log in: send a token"),
        (
            bearer(token(key="another secret of 32 bytes or more")),
            "the token is signed with another key",
        ),
        (bearer(token(seconds=-60)), "the token has expired"),
    ],
)
@pytest.mark.parametrize("path", ["", "/api/sse", "/ws"])
async def test_without_a_valid_token_nothing_is_judged(
    headers: dict[str, str], reason: str, path: str
) -> None:
    """One finding says why and what to do, and the exit code is 2; also with the URL of one stream."""
    async with served(secret=SECRET) as server:
        url = server.web_url.replace("http", "ws", 1) if path == "/ws" else server.web_url
        report = await examined(f"{url}{path}", headers)
    found = findings(report)["server"]
    assert (report.exit_code, found.verdict, found.code) == (2, "fail", "sign-in")
    assert f"rtdemo answered 401: {reason}" in found.seen
    assert "RTDEMO_TOKEN" in found.fix
    assert list(findings(report)) == ["DNS", "TCP", "server"]


async def test_token_that_expires_during_the_run_is_no_fault_of_a_proxy(
    start: Start, clock: VirtualClock
) -> None:
    """The normal streams end with this reason; what could not be checked after it is not judged."""
    server = await start(secret=SECRET, single_site=True, heartbeat=600.0)
    run = asyncio.create_task(examined(server.web_url, bearer(token(seconds=60))))
    # It opens the normal streams after the first checks.
    while len(server.hub) < 2:
        await asyncio.sleep(0.02)
    clock.advance(70)
    report = await run
    found = findings(report)
    assert report.exit_code == 1
    assert [each.check for each in report.faults] == ["login"]
    assert found["login"].code == "token-expired"
    assert "lasts longer" in found["login"].fix
    for check in ("SSE age", "WebSocket age"):
        assert (found[check].verdict, found[check].figures) == ("skip", {"because": "login"})


@pytest.mark.parametrize("open_one", [request, open_socket])
async def test_expired_token_is_sent_no_more(open_one: Open) -> None:
    """More of them would lock the address out: neither a request nor a WebSocket gets so far."""
    context = Context(address.parse("http://127.0.0.1:1"), idle=1)
    context.note_expiry()
    with pytest.raises(ExpiredError):
        async with open_one(context, "/api/time"):
            pass

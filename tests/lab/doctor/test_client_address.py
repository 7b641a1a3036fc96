"""`rtdemo doctor` finds a server that takes all clients of its proxy for one address."""

from __future__ import annotations

import httpx
import pytest

from rtdemo.lab.doctor import request
from rtdemo.lab.doctor.context import Context
from rtdemo.protocol import address
from tests.lab.doctor.doctor_run import served


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
@pytest.mark.parametrize(
    ("trusted", "seen", "fix"),
    [
        ((), "rtdemo takes all clients for 127.0.0.1", "--trusted-proxies"),
        (("1",), "forwarding: {header}", ""),
    ],
    ids=["no proxy is trusted", "one is trusted"],
)
async def test_proxy_that_is_not_trusted_is_reported(
    trusted: tuple[str, ...], seen: str, fix: str, header: str
) -> None:
    """The header has the client's address, and the server has the proxy's."""
    value = "for=203.0.113.7" if header == "Forwarded" else "203.0.113.7"
    async with served(trusted_proxies=trusted) as server, httpx.AsyncClient() as http:
        answer = await http.get(f"{server.web_url}/api/probe/request", headers={header: value})
        host = str(answer.request.headers["Host"])
        context = Context(address.parse(server.web_url), idle=1, host=host, received=answer.json())
        finding = await request.headers(context)
    assert finding.seen.endswith(seen.format(header=header))
    assert finding.verdict == ("warn" if fix else "ok")
    assert fix in finding.fix
    assert bool(finding.fix) == bool(fix)

"""Login with several workers: a ticket and a text by POST reach whichever worker is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.cluster.process import Process, rtdemo
from tests.web.login_tokens import SECRET, bearer, token

STREAMS = 6
"""Each on a new connection, and so are the requests about it: all but surely, both workers get some."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    """Two workers, each with a log of its own, that need a login."""
    server = rtdemo(tmp_path, "server", "--workers", "2", "--isolated-workers")
    server.environ |= {"RTDEMO_SECRET": SECRET, "TMPDIR": str(tmp_path)}
    await server.start()
    yield server
    await server.kill()


async def ask(server: Process, method: str, path: str, **headers: str) -> httpx.Response:
    """Ask on a new connection, so that either worker may get the request."""
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        return await http.request(method, path)


async def test_ticket_of_one_worker_opens_a_stream_of_the_other(server: Process, tmp_path: Path) -> None:
    """Once; and a text of its user is accepted, of another user it is not."""
    async with AsyncExitStack() as stack:
        clients, lines = [], []
        for _ in range(STREAMS):
            given = (await ask(server, "POST", "/api/ticket", **bearer(token("ann")))).json()["ticket"]
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url))
            answer = await stack.enter_async_context(http.stream("GET", f"/api/sse?ticket={given}"))
            assert answer.status_code == 200
            # Kept: an iterator that is dropped closes its stream.
            lines.append(answer.aiter_lines())
            while not (welcome := await anext(lines[-1])).startswith("data:"):
                pass  # the field `retry` comes first
            clients.append(welcome.partition('"client":"')[2].partition('"')[0])
            assert (await ask(server, "GET", f"/api/sse?ticket={given}")).status_code == 401
        for client in clients:
            path = f"/api/messages?client={client}"
            assert (await ask(server, "POST", path)).status_code == 401
            assert (await ask(server, "POST", path, **bearer(token("bob")))).status_code == 404
            forged = {**bearer(token("bob")), "X-Rtdemo-User": "ann"}
            assert (await ask(server, "POST", path, **forged)).status_code == 404
            assert (await ask(server, "POST", path, **bearer(token("ann")))).status_code == 202
    assert not list(tmp_path.rglob("*.once"))

"""Log in through a proxy by all five ways: the page, curl, `rtdemo tail`, `bench` and `doctor`.

Then no log of the server or of the proxy, no URL, no page and no output has the token or a ticket.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, async_playwright, expect

from tests.browser.conftest import FLAGS, TIMEOUT_MS
from tests.certificate import self_signed
from tests.cluster import proxies
from tests.cluster.process import Process, rtdemo
from tests.system_packages import CHROMIUM, CURL, require
from tests.web.login_tokens import SECRET, token

COMMAND_TIMEOUT_S = 90


@dataclass
class Site:
    """A server behind a proxy, and what is seen of the users that log in there.

    Attributes:
        server, proxy: the processes.
        folder: of their logs.
        environ: variables of the commands.
        token: of the user.
        tickets: that were given to the user.
        addresses: URLs and referrers of the page's requests.
        outputs: what the commands print, and the page.
    """

    server: Process
    proxy: Process
    folder: Path
    environ: dict[str, str]
    token: str
    tickets: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    async def run(self, *command: str, until: bytes = b"") -> str:
        """Run a command; return its output and errors.

        Arguments:
            command: program and arguments.
            until: what ends it by SIGINT, once it is printed; by default it ends by itself.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        printed = b""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                while until and until not in printed and (read := await process.stdout.read(4096)):
                    printed += read
                if until:
                    process.send_signal(signal.SIGINT)
                printed += await process.stdout.read()
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self.outputs.append(printed.decode())
        return self.outputs[-1]

    async def rtdemo(self, *arguments: str, until: bytes = b"") -> str:
        return await self.run(sys.executable, "-m", "rtdemo", *arguments, until=until)

    async def curl(self, path: str, *arguments: str, until: bytes = b"") -> str:
        command = [require(CURL), "-sSNk", "-H", "Authorization: Bearer " + self.token]
        return await self.run(*command, *arguments, self.proxy.url + path, until=until)


@pytest.fixture(params=["nginx with TLS", "haproxy"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    server = rtdemo(tmp_path, "server", "--production", "--trusted-proxies", "1")
    server.command += ["--log-level", "debug"]
    server.environ["RTDEMO_SECRET"] = SECRET
    environ = {**server.environ, "RTDEMO_SECRET": "", "RTDEMO_TOKEN": token("ann")}
    both = [server.port, server.port]
    if request.param == "haproxy":
        proxy = proxies.haproxy(tmp_path, both)
    else:
        certificate = self_signed(tmp_path)
        proxy = proxies.nginx(tmp_path, both, certificate)
        environ["SSL_CERT_FILE"] = str(certificate.certificate)
    await server.start()
    await proxy.start()
    yield Site(server, proxy, tmp_path, environ, environ["RTDEMO_TOKEN"])
    await proxy.stop()
    await server.kill()


@pytest.mark.timeout(300)  # it starts eight programs
async def test_log_in_by_every_way_and_leave_no_trace(site: Site) -> None:
    """Tickets that no connection has used are in no log either: they are still valid."""
    await by_curl(site)
    await by_commands(site)
    await by_page(site)
    await with_nobody_behind_the_proxy(site)
    await site.proxy.stop()
    logs = {path.name: path.read_text() for path in site.folder.iterdir() if ".log" in path.suffixes}
    assert "/api/sse" in "".join(logs.values())
    assert "client" in logs["server.log"]
    for secret in (site.token, site.token.rpartition(".")[2], *site.tickets):
        assert not [name for name, text in logs.items() if secret in text]
        assert not [text for text in site.outputs if secret in text]
    assert not [address for address in site.addresses if site.token in address]


async def by_curl(site: Site) -> None:
    """With the token, and with a ticket, which works once."""
    assert "SSE connection established" in await site.curl("/api/sse", until=b"established")
    path = await ticket_path(site)
    # Without the header: a ticket suffices.
    command = (require(CURL), "-sSNk", site.proxy.url + path)
    assert "SSE connection established" in await site.run(*command, until=b"established")
    assert "the ticket is not valid, or was used" in await site.run(*command)


async def ticket_path(site: Site) -> str:
    """Return the path that a new ticket opens."""
    answer = await site.curl("/api/ticket", "-X", "POST")
    site.outputs.remove(answer)  # the only output that has a ticket, as its purpose is
    site.tickets.append(json.loads(answer)["ticket"])
    return f"/api/sse?ticket={site.tickets[-1]}"


async def by_commands(site: Site) -> None:
    """Over both transports, and without a token with a line that says what is missing."""
    url = site.proxy.url
    for transport, welcome in (("sse", "SSE"), ("websocket", "WebSocket")):
        printed = await site.rtdemo("tail", url, "--transport", transport, until=b"established")
        assert f"{welcome} connection established" in printed
    assert "give the login token with --token" in await site.rtdemo("tail", url, "--token", "x.y.z")
    files = [site.folder / f"bench.log.{kind}" for kind in ("json", "html")]
    options = ["--json", str(files[0]), "--html", str(files[1])]
    printed = await site.rtdemo("bench", url, "-n", "2", "--seconds", "3", "--rounds", "1", *options)
    assert "p99" in printed
    assert all(file.stat().st_size > 1000 for file in files)
    printed = await site.rtdemo("doctor", url, "--idle", "1")
    assert ", 0 fail in" in printed


async def by_page(site: Site) -> None:
    """Both sides connect with tickets of their own, and the token is in no address."""
    async with async_playwright() as playwright:
        chromium = require(CHROMIUM)
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        page.on("request", lambda request: site.addresses.extend(addresses_of(request)))
        page.on("websocket", lambda socket: site.addresses.append(socket.url))
        await page.goto(site.proxy.url)
        await page.get_by_label("Token").fill(site.token)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("button", name="Connect both").click()
        for side in ("websocket", "sse"):
            await shows_connected(page, side)
        site.outputs += [await page.content(), page.url]
        await browser.close()
    tickets = [ticket for address in site.addresses for ticket in re.findall(r"ticket=([^&]+)", address)]
    # Or more: an attempt that takes too long is given up, and the next one has another ticket.
    assert len(set(tickets)) == len(tickets) >= 2
    site.tickets += tickets


def addresses_of(request: Request) -> list[str]:
    return [request.url, request.headers.get("referer", "")]


async def shows_connected(page: Page, side: str) -> None:
    panel = page.locator(f'[data-part="{side}"]')
    await expect(panel).to_contain_text("Messages arrive", timeout=TIMEOUT_MS)


async def with_nobody_behind_the_proxy(site: Site) -> None:
    """The proxy logs the failure; the ticket would still open a connection elsewhere."""
    path = await ticket_path(site)
    assert await site.server.stop() == 0
    command = (require(CURL), "-sSk", "-o", "/dev/null", "-w", "%{http_code}", site.proxy.url + path)
    assert (await site.run(*command)).startswith("50")

"""Start the hops of a set-up, from the servers outwards, and end them again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx

from tests.free_port import free_port, is_listening
from tests.matrix.certificates import Authority
from tests.matrix.line import Line
from tests.matrix.proxies import LINE, PROXIES
from tests.matrix.proxies.proxy import Place
from tests.matrix.setup import Hop, Setup

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0
SETTLE_S, SETTLE_TRIES = 3.0, 12
NOT_FOUND = 404


class StartError(Exception):
    """Report that a program of a set-up did not start."""


@asynccontextmanager
async def chain(
    setup: Setup, servers: tuple[int, ...], folder: Path, authority: Authority
) -> AsyncIterator[str]:
    """Run the hops of a set-up; yield the URL of the outermost one, without a slash at its end.

    Arguments:
        setup: the set-up.
        servers: ports of the servers.
        folder: existing and empty, for files.
        authority: certificates.

    Raises:
        StartError: if a program ends or does not listen.
    """
    async with AsyncExitStack() as stack:
        ports = servers
        for number, hop in reversed(list(enumerate(setup.hops))):
            place = Place(free_port(), ports, folder / f"{number}-{hop.kind}", authority)
            place.folder.mkdir()
            # A proxy that root starts may continue as another user.
            place.folder.chmod(0o777)
            await stack.enter_async_context(_line(hop, place) if hop.kind == LINE else run(hop, place))
            ports = (place.port,)
        scheme = "https" if any(hop.certificate for hop in _outermost(setup)) else "http"
        url = f"{scheme}://127.0.0.1:{ports[0]}{setup.path}"
        await _settle(url)
        yield url


async def _settle(url: str) -> None:
    """Wait until a path answers: some proxies listen before they have read their routes."""
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=SETTLE_S) as http:
        for _ in range(SETTLE_TRIES):
            try:
                if (await http.get(f"{url}/healthz")).status_code != NOT_FOUND:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(SETTLE_S / SETTLE_TRIES)


def _outermost(setup: Setup) -> list[Hop]:
    """Return the first proxy; lines before it forward its TLS."""
    return [hop for hop in setup.hops if hop.kind != LINE][:1]


@asynccontextmanager
async def _line(hop: Hop, place: Place) -> AsyncIterator[None]:
    line = Line(place.upstreams, hop.options)
    await line.start(place.port)
    try:
        yield
    finally:
        await line.stop()


@asynccontextmanager
async def run(hop: Hop, place: Place) -> AsyncIterator[None]:
    """Run one proxy until the context ends."""
    proxy = PROXIES[hop.kind]
    if proxy.path is None:
        raise StartError(proxy.program.advice)
    launch = proxy.render(hop, place, proxy.path)
    for name, text in launch.files.items():
        (place.folder / name).write_text(text)
    async with program(launch.command, place.port, place.folder / "log", launch.environ):
        yield


@asynccontextmanager
async def program(
    command: tuple[str, ...], port: int, log: Path, environ: object = None
) -> AsyncIterator[None]:
    """Run a program that listens on a port of loopback until the context ends."""
    environment = {**os.environ, **(environ if isinstance(environ, dict) else {})}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await is_listening(port):
                if process.returncode is not None:
                    raise StartError(f"{command[0]} ended: {log.read_text(errors='replace')[-900:]}")
                await asyncio.sleep(0.05)
        yield
    except TimeoutError:
        if await is_listening(port):
            raise
        raise StartError(f"{command[0]} does not listen: {log.read_text(errors='replace')}") from None
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            # It may end meanwhile.
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

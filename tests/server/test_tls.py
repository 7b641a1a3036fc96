"""TLS from --tls-cert and --tls-key: errors at the start, and new certificates without a restart."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import websockets
from aiohttp import web

from rtdemo.errors import SettingError
from rtdemo.hub.hub import Hub
from rtdemo.server import open_files, tls
from rtdemo.server import server as server_module
from rtdemo.server.descriptors import Descriptors
from rtdemo.server.server import Server
from rtdemo.settings.settings import load
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Clock
from tests.certificate import Certificate, self_signed
from tests.conftest import Start
from tests.free_port import free_port
from tests.system_packages import OPENSSL, require
from tests.tls_client import TlsClient

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

Files = dict[str, Any]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The settings with a certificate of this test."""
    made = self_signed(tmp_path)
    return {"tls_cert": str(made.certificate), "tls_key": str(made.key)}


def replaced(files: Files, folder: Path) -> bytes:
    """Replace the certificate in the files; return the new one as the handshake sends it."""
    folder.mkdir(exist_ok=True)
    made = self_signed(folder)
    made.key.replace(files["tls_key"])
    pem = made.certificate.read_text()
    made.certificate.replace(files["tls_cert"])
    return ssl.PEM_cert_to_DER_cert(pem)


def client_hello() -> bytes:
    """Return the first message of a client's handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def presented(port: int | None, name: str | None = "localhost") -> bytes:
    """Return the certificate that a new connection gets, with or without a server name (SNI)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connecting = asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")
    _, writer = await connecting
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


def port_of(url: str) -> int:
    port = httpx.URL(url).port
    assert port is not None
    return port


async def test_both_sites_speak_tls(start: Start, files: Files) -> None:
    """The printed addresses are https and wss, and clients that know nothing of rtdemo accept them."""
    server = await start(**files)
    assert server.web_url.startswith("https://127.0.0.1:")
    assert server.websocket_url.startswith("wss://127.0.0.1:")
    context = ssl.create_default_context(cafile=files["tls_cert"])
    async with httpx.AsyncClient(base_url=server.web_url, verify=context) as http:
        page = await http.get("/")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"http://127.0.0.1:{port_of(server.web_url)}/")
    assert f'data-websocket-port="{port_of(server.websocket_url)}"' in page.text
    async with websockets.connect(server.websocket_url, ssl=context) as socket:
        assert "established" in str(await socket.recv())


async def test_answers_over_tls_have_hsts(start: Start, files: Files) -> None:
    """Each answer over TLS has it, a refusal and a stream too; not for localhost, nor without TLS."""
    server, plain = await start(**files), await start()
    context = ssl.create_default_context(cafile=files["tls_cert"])
    header = "Strict-Transport-Security"
    async with httpx.AsyncClient(base_url=server.web_url, verify=context) as http:
        for path in ("/", "/nothing", "/healthz", "/static/app.js", "/x" * 101):
            assert (await http.get(path)).headers[header] == "max-age=31536000"
        async with http.stream("GET", "/api/sse") as stream:
            assert header in stream.headers
        local = f"https://localhost:{port_of(server.web_url)}/"
        assert header not in (await http.get("/", headers={"Host": local[8:-1]})).headers
        assert header not in (await http.get(plain.web_url)).headers


async def test_page_over_tls_is_isolated(start: Start, files: Files) -> None:
    """Under any name, and for any client: the server itself sees the TLS."""
    server = await start(host="", **files)
    context = ssl.create_default_context(cafile=files["tls_cert"])
    async with httpx.AsyncClient(base_url=server.web_url, verify=context) as http:
        page = await http.get("/", headers={"Host": "example.org"})
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


async def test_page_of_the_websocket_site_is_https(start: Start, files: Files) -> None:
    server = await start(**files)
    context = ssl.create_default_context(cafile=files["tls_cert"])
    async with httpx.AsyncClient(verify=context) as http:
        answer = await http.get(server.websocket_url.replace("wss", "https"))
    assert f"the page is at {server.web_url}/" in answer.text


@pytest.mark.parametrize("name", ["localhost", None])
async def test_new_connections_get_the_new_certificate(
    start: Start, files: Files, tmp_path: Path, name: str | None
) -> None:
    """Open connections stay."""
    server = await start(**files)
    context = ssl.create_default_context(cafile=files["tls_cert"])
    client = await TlsClient.connect(server, "sse", context)
    await client.read_until(b"established")
    port = port_of(server.web_url)
    before = await presented(port, name)
    after = replaced(files, tmp_path / "new")
    assert await presented(port, name) == before != after
    assert server.certificate is not None
    server.certificate.reload()
    assert await presented(port, name) == await presented(port_of(server.websocket_url), name) == after
    (connection,) = server.hub.connections
    connection.send("test", "still there")
    await client.read_until(b"still there")
    await client.leave(by_reset=True)


@pytest.mark.parametrize("broken", ["tls_cert", "tls_key"])
async def test_bad_new_file_changes_nothing(
    start: Start, files: Files, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    """The log has one line."""
    server = await start(**files)
    port = port_of(server.web_url)
    before = await presented(port)
    Path(files[broken]).write_text("nonsense")
    assert server.certificate is not None
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        server.certificate.reload()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("the previous certificate stays in use")
    assert "\n" not in line
    assert await presented(port) == before


def encrypted(made: Certificate) -> None:
    """Give the key a password."""
    words = ["pkcs8", "-topk8", "-passout", "pass:secret", "-in", str(made.key), "-out", f"{made.key}.e"]
    subprocess.run([require(OPENSSL), *words], check=True)
    Path(f"{made.key}.e").replace(made.key)


def other_key(made: Certificate) -> None:
    """Put the key of another certificate in place of this one's."""
    folder = made.key.parent / "other"
    folder.mkdir()
    self_signed(folder).key.replace(made.key)


BAD = {
    "no certificate file": (lambda made: made.certificate.unlink(), "--tls-cert"),
    "no key file": (lambda made: made.key.unlink(), "--tls-key"),
    "no certificate": (lambda made: made.certificate.write_text("x"), "--tls-cert"),
    "key of another": (other_key, "--tls-key"),
    "key with a password": (encrypted, "--tls-key"),
    "no key": (lambda made: made.key.write_text("x"), "--tls-key"),
}


@pytest.mark.parametrize(("change", "flag"), BAD.values(), ids=BAD)
async def test_bad_file_at_the_start(tmp_path: Path, change: Any, flag: str) -> None:
    """The error is one line that names the setting; the exit code is 2, and nobody is asked anything."""
    made = self_signed(tmp_path)
    change(made)
    settings = load({"tls_cert": str(made.certificate), "tls_key": str(made.key)}, {}, tmp_path / ".env")
    with pytest.raises(SettingError) as error:
        Server(settings)
    assert str(error.value).startswith(f"{flag} (environment: RTDEMO_")
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "--tls-key"), ("tls_key", "--tls-cert")])
async def test_one_file_without_the_other(tmp_path: Path, given: str, missing: str) -> None:
    with pytest.raises(SettingError) as error:
        load({given: "some.pem"}, {}, tmp_path / ".env")
    assert str(error.value).startswith(missing)


async def test_client_that_begins_no_handshake_is_cut(
    start: Start, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop would wait a minute for it."""
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT_S", 0.05)
    server = await start(**files)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server.web_url))
    assert await reader.read() == b""
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not report the state of TCP")
async def test_no_handshake_with_clients_that_have_left(
    start: Start, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would take a signature: after a flood of them, the next client waited for seconds."""
    handshakes, present = [], tls.Certificate._present

    def counted(certificate: tls.Certificate, *given: Any) -> None:
        handshakes.append(given)
        present(certificate, *given)

    monkeypatch.setattr(tls.Certificate, "_present", counted)
    server = await start(**files)
    port = port_of(server.web_url)
    for by_reset in (True, False) * 5:
        with socket.create_connection(("127.0.0.1", port)) as client:
            # Linger of zero seconds: close sends RST.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", by_reset, 0))
            client.sendall(client_hello())
    await presented(port)
    assert len(handshakes) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not report the state of TCP")
@pytest.mark.parametrize(("state", "closed"), [(0, False), (1, False), (3, False), (7, True), (8, True)])
async def test_only_a_closed_connection_counts_as_left(state: int, closed: bool) -> None:
    """One that is accepted with TCP Fast Open is not established yet; 0 is no state of Linux."""
    connection = Mock()
    connection.get_extra_info.return_value.getsockopt.return_value = bytes([state])
    assert tls._has_left(connection) is closed


async def test_old_versions_of_tls_are_refused(start: Start, files: Files) -> None:
    server = await start(**files)
    context = ssl.create_default_context(cafile=files["tls_cert"])
    context.check_hostname = False
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port_of(server.web_url), ssl=context)


@pytest.fixture(
    params=[(), ("--workers", "2", "--isolated-workers")], ids=["one process", "two workers"]
)
async def process(files: Files, tmp_path: Path, request: Any) -> AsyncIterator[tuple[int, Any]]:
    """A server as a process with TLS, and its port."""
    port = free_port()
    arguments = ("--host", "127.0.0.1", "--port", str(port), "--single-site", "--drain-seconds", "0")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "serve", *arguments, *request.param),
        *("--tls-cert", files["tls_cert"], "--tls-key", files["tls_key"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert f"https://127.0.0.1:{port}/" in (await process.stdout.readline()).decode()
    yield port, process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def logged(process: Any, part: str) -> None:
    """Read the log until a line has a text."""
    while part not in (line := (await process.stderr.readline()).decode()):
        assert line, f"it ended before it logged {part!r}"


@pytest.mark.timeout(300)  # workers start anew
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_sighup_reloads(process: tuple[int, Any], files: Files, tmp_path: Path) -> None:
    """Several workers are replaced for it, one by one; with a bad file the old ones keep running."""
    port, server = process
    after = replaced(files, tmp_path / "new")
    server.send_signal(signal.SIGHUP)
    await logged(server, "new connections get" if len(children(server)) == 0 else "replaced 2 workers")
    assert [await presented(port) for _ in range(4)] == [after] * 4
    Path(files["tls_cert"]).write_text("nonsense")
    server.send_signal(signal.SIGHUP)
    await logged(server, "previous certificate" if len(children(server)) == 0 else "keeps running")
    assert [await presented(port) for _ in range(4)] == [after] * 4
    server.terminate()
    assert await server.wait() == 0


def children(server: Any) -> list[str]:
    return Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()


async def test_silent_clients_in_the_handshake_are_closed_where_descriptors_are_short(
    start: Start, files: Files, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could take all of them for ten seconds, again and again: no health check was answered."""
    used = open_files.count_open()
    assert used is not None

    def limited(runner: web.BaseRunner, hub: Hub, _clock: Clock, limit: int) -> Descriptors:
        # It counts once: later, the other ends of the connections, which this process has, would count.
        return Descriptors(runner, hub, clock, limit)

    monkeypatch.setattr(server_module, "Descriptors", limited)
    monkeypatch.setattr(server_module, "limit_of_process", lambda: used + 60)
    server = await start(**files)
    port = port_of(server.web_url)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(80)]
    # The oldest one is closed, and others stay: room is made for one after the other.
    assert await silent[0][0].read() == b""
    context = ssl.create_default_context(cafile=files["tls_cert"])
    async with httpx.AsyncClient(base_url=server.web_url, verify=context) as http:
        assert (await http.get("/healthz")).status_code == 200
    assert not silent[-1][0].at_eof()
    assert 0 < server.hub.refused["descriptors"] < 80
    for _, writer in silent:
        writer.close()

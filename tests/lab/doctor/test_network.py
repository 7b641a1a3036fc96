"""`rtdemo doctor` without a server, with TLS, with a single stream, and without probes."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtdemo.lab.doctor import network
from rtdemo.protocol import message
from rtdemo.web import probe_usage
from tests.free_port import free_port, is_listening
from tests.lab.doctor import proxies
from tests.lab.doctor.doctor_run import examine, findings, served
from tests.system_packages import OPENSSL, require


@asynccontextmanager
async def behind_tls(folder: Path, port: int, days: int = 90, http2: bool = True) -> AsyncIterator[str]:
    """Run nginx with a self-signed certificate in front of a server; yield its URL."""
    await certify(folder, datetime.now(UTC) + timedelta(days=days, hours=1))
    process = proxies.proxy(folder, "nginx_tls.conf", port, [])
    config = folder / "nginx_tls.conf"
    if not http2:
        config.write_text(config.read_text().replace(" ssl http2;", " ssl;"))
    program = await asyncio.create_subprocess_exec(*process.command)
    try:
        while not await is_listening(process.port):
            await asyncio.sleep(0.02)
        yield f"https://127.0.0.1:{process.port}"
    finally:
        program.terminate()
        await program.wait()


async def certify(folder: Path, end: datetime) -> None:
    """Create a self-signed certificate that expires at a given time."""
    openssl = require(OPENSSL)
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01")
    request = (
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    )
    sign = ("ca", "-batch", "-config", str(proxies.SETUPS / "authority.cnf"), "-selfsign")
    files = ("-keyfile", "key.pem", "-in", "request.pem", "-out", "certificate.pem")
    dates = ("-startdate", "20200101000000Z", "-enddate", f"{end:%Y%m%d%H%M%S}Z")
    for arguments in ((*request, "-subj", "/CN=rtdemo"), (*sign, *files, *dates)):
        quiet = asyncio.subprocess.DEVNULL
        made = await asyncio.create_subprocess_exec(openssl, *arguments, cwd=folder, stderr=quiet)
        assert await made.wait() == 0


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("url", "check", "words"),
    [
        ("http://127.0.0.1:{free}", "TCP", "cannot be reached"),
        ("http://nobody.invalid", "DNS", "has no address"),
        ("https://127.0.0.1:{served}", "TLS", "the TLS handshake with"),
        ("http://127.0.0.1:{silent}", "server", "the first request was cut"),
    ],
)
async def test_where_nothing_can_be_examined(url: str, check: str, words: str) -> None:
    """The finding of the failed check names a remedy, and the exit code is 2."""
    async with served(often=True) as server:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            silent = await asyncio.start_server(lambda _, writer: writer.close(), sock=listening)
            ports = {"free": free_port(), "served": server.web_url.rpartition(":")[2]}
            ports["silent"] = listening.getsockname()[1]
            report = await examine(url.format(**ports))
            silent.close()
    last = report.checks[-1]
    assert (last.check, last.verdict, report.exit_code) == (check, "fail", 2)
    assert words in last.seen


# Alone: on a busy machine events seem to come in clumps, and then doctor judges no latency.
@pytest.mark.alone
async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrusted certificate fails, but all other checks run; SSL_CERT_FILE makes it trusted."""
    async with served(often=True) as server, behind_tls(tmp_path, port_of(server.web_url)) as url:
        report = await examine(url, idle=1)
        untrusted = findings(report)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        trusted = findings(await examine(url, idle=1))
        wrong = await examine(url.replace("https", "http"), idle=1)
    assert untrusted["TLS"].verdict == "fail"
    assert "self-signed certificate" in untrusted["TLS"].seen
    assert "SSL_CERT_FILE" in untrusted["TLS"].fix
    assert untrusted["WebSocket 64 KiB"].verdict == "ok"
    assert report.exit_code == 1
    assert trusted["TLS"].verdict == "ok"
    assert re.match(r"TLSv1\.[23], trusted certificate with 90 days left", trusted["TLS"].seen)
    assert "HTTP/2 offered to browsers, HTTP/1.1 on arrival" in trusted["HTTP version"].seen
    assert "ahead of" in trusted["clock"].seen or "behind" in trusted["clock"].seen
    faults = {name for name, result in trusted.items() if result.verdict != "ok"}
    # One second of silence is less than the heartbeat.
    assert faults == {"SSE idle", "WebSocket idle"}
    assert trusted["SSE events"].http == ["1.1", "2"]
    assert (wrong.exit_code, wrong.checks[-1].verdict) == (2, "fail")
    assert "give https://" in wrong.checks[-1].fix


async def test_certificate_that_expires_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Causes a warning; so does TLS without HTTP/2, where browsers open only six streams."""
    async with (
        served(often=True) as server,
        behind_tls(
            tmp_path, port_of(server.web_url), network.CERTIFICATE_WARNING_DAYS - 1, False
        ) as url,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        found = findings(await examine(url, idle=1))
    assert found["TLS"].verdict == "warn"
    assert f"{network.CERTIFICATE_WARNING_DAYS - 1} days left" in found["TLS"].seen
    assert "nginx -s reload" in found["TLS"].fix
    assert found["SSE seven streams"].verdict == "warn"
    assert "`http2 on;`" in found["SSE seven streams"].fix


@pytest.mark.parametrize(("scheme", "path"), [("ws", "/ws"), ("http", "/api/sse")])
async def test_one_stream(scheme: str, path: str) -> None:
    """A URL of one stream is checked alone, on any server."""
    async with served(often=True) as server:
        url = server.web_url.replace("http", scheme) + path
        found = findings(await examine(url, idle=1))
        none = findings(await examine(url.replace(path, "/nothing"), idle=1))
    first = {"ws": "WebSocket upgrade", "http": "SSE first byte"}[scheme]
    age = {"ws": "WebSocket age", "http": "SSE age"}[scheme]
    assert (found[first].verdict, found[age].verdict) == ("ok", "ok")
    assert "one stream" in found["server"].seen
    assert list(none) == ["DNS", "TCP", "server"]
    assert (none["server"].verdict, "answered 404" in none["server"].seen) == ("fail", True)


async def test_probes_are_off() -> None:
    """The finding names the flag that enables them; checks that need no probes run."""
    async with served(often=True, probes=False) as server:
        report = await examine(server.web_url, idle=1)
    found = findings(report)
    assert found["server"].verdict == "warn"
    assert "start the server with --probes; not tested: 12 other checks" in found["server"].seen
    assert {result.verdict for name, result in found.items() if name != "server"} == {"ok"}
    assert {"page", "origin rule", "WebSocket upgrade", "SSE resume", "SSE age", "clock"} <= set(found)


async def test_probes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client over the rate limit gets warnings, but no failure."""
    monkeypatch.setattr(probe_usage, "BURST", 4)
    monkeypatch.setattr(probe_usage, "REQUESTS_PER_SECOND", 0.001)
    async with served(often=True) as server:
        report = await examine(server.web_url, idle=1)
        again = await examine(server.web_url, idle=1)
    limited = [result for result in report.checks if "not tested: rate-limited" in result.seen]
    assert {"SSE events", "WebSocket 64 KiB", "SSE idle"} & {result.check for result in limited}
    assert {result.verdict for result in limited} == {"warn"}
    assert report.exit_code == again.exit_code == 0
    assert "rtdemo, but too many probes from 127.0.0.1" in findings(again)["server"].seen


async def test_certificate_that_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails, with a fix for expired certificates."""
    async with served(often=True) as server, behind_tls(tmp_path, port_of(server.web_url), -1) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        found = findings(await examine(url, idle=1))
    assert found["TLS"].verdict == "fail"
    assert "certificate has expired" in found["TLS"].seen
    assert "`nginx -s reload`" in found["TLS"].fix


# Alone: on a busy machine events seem to come in clumps, and then doctor judges no latency.
@pytest.mark.alone
async def test_clock_that_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Causes a warning, and latency is corrected for it."""
    real = message.now
    monkeypatch.setattr(message, "now", lambda: real() + 3000)
    async with served(often=True) as server:
        monkeypatch.setattr(server.hub.engine, "_now", message.now)
        found = findings(await examine(server.web_url, idle=1))
    assert found["clock"].verdict == "warn"
    ahead = re.match(r"([\d.]+) ms ahead of the local clock, ± ([\d.]+) ms", found["clock"].seen)
    assert ahead is not None
    # Both are rounded to a tenth.
    assert abs(float(ahead[1]) - 3000) <= float(ahead[2]) + 0.1
    for transport in ("SSE", "WebSocket"):
        latency = re.search(r"one way (under )?(\d+\.\d)", found[f"{transport} latency"].seen)
        assert latency is not None
        assert float(latency[2]) < 2000

"""The container's health check, against a server with TLS and one without."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.certificate import self_signed
from tests.conftest import Start
from tests.free_port import free_port

HEALTHCHECK = Path(__file__).parents[2] / "deploy/healthcheck.py"


async def checked(url: str, **environ: str) -> tuple[int | None, str]:
    """Return the exit code of the health check, and what it prints."""
    port = str(httpx.URL(url).port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, HEALTHCHECK),
        env={**os.environ, "HOST": "127.0.0.1", "PORT": port, **environ},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize("tls", [False, True])
async def test_server_that_serves_is_healthy(start: Start, tmp_path: Path, tls: bool) -> None:
    """It speaks TLS where RTDEMO_TLS_CERT is set, as in the server's own environment."""
    made = self_signed(tmp_path)
    files = {"tls_cert": str(made.certificate), "tls_key": str(made.key)} if tls else {}
    # Nobody else gets this port once the server has stopped.
    server = await start(port=free_port(), **files)
    environ = {"RTDEMO_TLS_CERT": files["tls_cert"]} if tls else {}
    assert await checked(server.web_url, **environ) == (0, "")
    await server.stop()
    code, output = await checked(server.web_url, **environ)
    assert code == 1
    assert "no answer" in output

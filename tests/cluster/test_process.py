"""What a test starts ends with it, also the processes that a program starts itself."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.cluster.process import Process
from tests.free_port import free_port

PROGRAM = """
import subprocess, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
subprocess.Popen(["sh", "-c", f"exec 9>{sys.argv[2]}; exec sleep 60"])
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""
"""A server with a worker, which keeps a pipe open as long as it lives."""


async def test_workers_of_a_program_end_with_it(tmp_path: Path) -> None:
    """As those of nginx and Apache, which stay when only their parent is killed."""
    pipe, port = tmp_path / "pipe", free_port()
    os.mkfifo(pipe)
    opening = asyncio.ensure_future(asyncio.to_thread(pipe.open, "rb"))
    process = Process([sys.executable, "-c", PROGRAM, str(port), str(pipe)], port, tmp_path / "log")
    await process.start("/")
    with await opening as held:
        await process.end()
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(held.read) == b""

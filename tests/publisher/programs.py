"""Run programs that publish, as their users do."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PATIENT = "import rtdemo.publisher.publish as p; p.EXIT_TIMEOUT_S = 60.0\n"
"""Code before a program: a busy machine may take more than two seconds for its last messages."""
RUN_FILE = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"


@asynccontextmanager
async def running(url: str, *arguments: str, **environ: str) -> AsyncIterator[Process]:
    """Run Python with a server's address in its environment; it dies with the block.

    Arguments:
        url: of the server.
        arguments: of Python: a file and its arguments, or `-c` and a script.
        environ: further variables.
    """
    variables = {**os.environ, "RTDEMO_URL": url, **environ}
    code, *rest = arguments[1:] if arguments[0] == "-c" else (RUN_FILE, *arguments)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PATIENT + code, *rest), stdout=PIPE, stderr=PIPE, env=variables
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(url: str, script: str, **environ: str) -> tuple[int, str, str]:
    """Run a script; return its exit code, its output and its errors."""
    async with running(url, "-c", script, **environ) as process:
        output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()

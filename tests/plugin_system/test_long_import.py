"""A program that was taken for a plugin: its import does not end."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

SERVE = """
from rtdemo.cli.main import main
from rtdemo.plugin_system import long_import

long_import.LONG_S = 0.1
main()
"""


async def test_import_without_end_is_reported_and_ended_by_ctrl_c(tmp_path: Path) -> None:
    """`rtdemo serve loss.py` with a program that publishes in a loop had been silent, and had stayed."""
    (tmp_path / "endless.py").write_text("import time\nwhile True:\n    time.sleep(0.01)\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, "serve", "endless.py", "--port", "0", "--single-site"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        line = ""
        while "plugin 'endless'" not in line:  # on a busy machine, another import may be long, too
            line = (await process.stderr.readline()).decode()
            assert "plugin '" in line
        assert line.endswith("a program that publishes is run by itself: python endless.py\n")
        process.send_signal(signal.SIGINT)
        out, rest = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, out, rest.strip()) == (130, b"", b"")

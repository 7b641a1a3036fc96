"""How often a server looks for garbage: a storm of connects makes many objects, and they stay."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from rtdemo.server.server import COLLECT_AFTER
from tests.cluster.process import rtdemo

PLUGIN = """
import gc

from rtdemo import producer


@producer(name="collector")
def collector():
    return f"threshold {gc.get_threshold()[0]}, frozen {gc.get_freeze_count() > 0}."
"""


async def test_server_looks_for_garbage_seldom_and_not_in_what_it_loaded(tmp_path: Path) -> None:
    """With Python's own threshold, this took a twentieth of a storm's CPU time."""
    plugin = tmp_path / "collector.py"
    plugin.write_text(PLUGIN)
    server = rtdemo(tmp_path, "server", str(plugin))
    await server.start()
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{server.url}/api/sse?producers=collector") as answer,
        ):
            found = await answer.content.readuntil(b"frozen ") + await answer.content.readuntil(b".")
    finally:
        await server.end()
    assert f"threshold {COLLECT_AFTER}, frozen True." in found.decode()

"""The server that bench starts for itself."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from rtdemo.lab.bench.processes import own_server

PLUGIN = "from rtdemo import producer\n@producer(every=1)\ndef extra():\n    return 'x'\n"


async def test_it_is_the_same_wherever_bench_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bench's own server ignores the user's settings, `.env`, plugins and Redis."""
    (tmp_path / ".env").write_text("RTDEMO_SINGLE_SITE=perhaps\n")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "extra.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    for name, value in {"REDIS_URL": "redis://127.0.0.1:1", "RTDEMO_WITHOUT": "message"}.items():
        monkeypatch.setenv(name, value)
    async with own_server() as there, httpx.AsyncClient() as http:
        found = (await http.get(f"{there.origin}/api/producers")).json()
    names = {one["name"] for one in found}
    assert "message" in names
    assert "extra" not in names

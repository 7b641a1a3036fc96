"""docs/login.md: its code works as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from rtdemo.server.server import Server
from tests.conftest import Start
from tests.docs.markdown import blocks
from tests.web.login_tokens import SECRET

PAGE = "docs/login.md"
CODE = {block.name: block.text for block in blocks(PAGE, "python")}


async def status(server: Server, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx.AsyncClient(base_url=server.web_url, headers=named) as http,
        http.stream("GET", "/api/sse") as answer,
    ):
        return answer.status_code


async def test_token_of_the_page_is_valid(start: Start) -> None:
    """The two lines print a token that the server accepts."""
    server = await start(secret=SECRET)
    made = subprocess.run(  # noqa: ASYNC221 - it takes a moment, and nothing else runs
        [sys.executable, "-c", CODE["make_token.py"]],
        env={**os.environ, "RTDEMO_SECRET": SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    assert await status(server) == 401
    assert await status(server, Authorization=f"Bearer {made.stdout.strip()}") == 200


async def test_plugins_of_the_page(start: Start, tmp_path: Path) -> None:
    """A badge admits its user, and refuses others; one of the payroll's users sees its name."""
    files = []
    for name in ("badge.py", "payroll.py"):
        files.append(tmp_path / name)
        files[-1].write_text(CODE[name])
    server = await start(files=tuple(files))
    expected = {"": 401, "7f3a9c": 200, "wrong": 401, "stolen": 403}
    assert {badge: await status(server, X_Badge=badge) for badge in expected} == expected
    async with httpx.AsyncClient(base_url=server.web_url, headers={"X-Badge": "2b81d0"}) as http:
        assert "payroll" in (await http.get("/api/producers")).text

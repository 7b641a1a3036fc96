"""The command line, mostly in real processes: output, errors of one line, exit codes and signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import websockets

from rtdemo import __version__
from rtdemo.server.server import EXIT_TIMEOUT_S
from rtdemo.settings.settings import Settings
from tests.command import run_in_process
from tests.free_port import free_port

ROOT = Path(__file__).parents[2]
FREE = ("--host", "127.0.0.1", "--port", "0", "--websocket-host", "127.0.0.1", "--websocket-port", "0")

Process = asyncio.subprocess.Process
Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Start `python -m rtdemo ...` in an empty folder; it is killed at the end of the test."""
    processes: list[Process] = []

    async def started(*arguments: str, cwd: Path = tmp_path, **environ: str) -> Process:
        environment = {k: v for k, v in os.environ.items() if k not in ("PORT", "HOST")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rtdemo",
            *arguments,
            cwd=cwd,
            env=environment | {"PYTHONPATH": str(ROOT)} | environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def announced(process: Process) -> tuple[str, str, str]:
    """Return the page's and the WebSocket's address and the plugins, as the start prints them."""
    assert process.stdout
    lines = [(await process.stdout.readline()).decode() for _ in range(4)]
    page, _, websocket, plugins = (
        line.split(maxsplit=2 if "page" not in line else 4)[-1] for line in lines
    )
    return page.strip(), websocket.strip(), plugins.removeprefix("plugins").strip()


BAD = [
    (["--prot", "1"], {}, 2, ["--prot", "--port"]),
    (["--port", "70000"], {}, 2, ["--port", "PORT", "70000", "0 to 65535"]),
    ([], {"PORT": "abc"}, 2, ["--port", "PORT", "'abc'", "whole number"]),
    (["--plugins-dir", "nowhere"], {}, 2, ["--plugins-dir", "RTDEMO_PLUGINS_DIR", "nowhere"]),
    (["serve", "nowhere.py"], {}, 2, ["nowhere.py"]),
    (["dance"], {}, 2, ["there is no command 'dance'; rtdemo --help lists all"]),
    (["servee"], {}, 2, ["there is no command 'servee'; did you mean serve?"]),
    (["dice.py"], {}, 2, ["for a plugin file: rtdemo serve dice.py"]),
    (["plugins", "nwe"], {}, 2, ["there is no plugin file 'nwe'; the commands are list, new, check"]),
    (["tail", "--producer", "x"], {}, 2, ["--producer", "Did you mean", "--producers"]),
    (["--log-format"], {}, 2, ["--log-format"]),
]


@pytest.mark.parametrize(("arguments", "environ", "code", "words"), BAD)
def test_bad_value_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: dict[str, str],
    code: int,
    words: list[str],
) -> None:
    """The error names the problem and what is allowed; standard output is empty."""
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = run_in_process(*arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert [word for word in words if word not in done.err] == []


@pytest.mark.parametrize("command", ["tail", "doctor", "bench", "storm", "conform"])
def test_url_is_no_option(command: str) -> None:
    """Who has just used `rtdemo publish --to URL` is told how; click would suggest `--token`."""
    done = run_in_process(command, "--to", "http://localhost:7")
    assert done.err == (
        f"rtdemo: there is no option --to; give the URL without it: rtdemo {command} http://localhost:3000\n"
    )
    assert "No such option" in run_in_process("serve", "--to", "x").err
    done = run_in_process("publish", "x", "--url", "http://localhost:7")
    assert done.err == "rtdemo: there is no option --url; use --to URL\n"


async def test_port_in_use_is_one_line(run: Run) -> None:
    """The error names the port, the flag and the variable; the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await run(*FREE, "--websocket-port", port)
        _, err = await process.communicate()
    assert (process.returncode, err.count(b"\n")) == (1, 1), err
    assert [w for w in (port, "--websocket-port", "WEBSOCKET_PORT") if w not in err.decode()] == []


async def test_two_plugins_of_one_name_and_a_broken_one(run: Run, tmp_path: Path) -> None:
    """The later one replaces the earlier; the broken one is left out, or ends the start if strict."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "echo.py").write_text("from rtdemo import producer\n@producer\ndef hi(): return 'hi'\n")
    (folder / "broken.py").write_text("def broken(:\n")
    process = await run(*FREE, "--plugins-dir", str(folder), "--without", "status,nix")
    assert (await announced(process))[2] == "broadcast, chat, echo, message, welcome"
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    log = err.decode()
    assert process.returncode == 0
    assert re.search(r"plugin 'echo': \S+mine/echo\.py replaces \S+plugins/echo\.py", log)
    assert re.search(
        r"plugin 'broken' \(\S+broken\.py\): line 1: SyntaxError.*starts without this plugin", log
    )
    assert "--without nix" in log
    strict = await run(*FREE, "--plugins-dir", str(folder), "--strict-plugins")
    _, err = await strict.communicate()
    assert strict.returncode == 1
    assert b"plugin 'broken'" in err.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_with_0(run: Run, number: signal.Signals) -> None:
    """Clients of both transports get the reason, and the process exits, by default within 10 s."""
    assert Settings().drain_seconds + EXIT_TIMEOUT_S <= 10
    process = await run(*FREE, "--drain-seconds", "1")
    page, url, plugins = await announced(process)
    assert plugins == "broadcast, chat, echo, message, status, welcome"
    async with websockets.connect(url) as ws, httpx.AsyncClient(base_url=page) as http:
        await ws.recv()
        async with http.stream("GET", "/api/sse") as stream:
            lines = stream.aiter_lines()
            assert "established" in await anext(lines)
            async with asyncio.timeout(60):
                process.send_signal(number)
                with pytest.raises(websockets.ConnectionClosedOK) as closed:
                    while True:
                        await ws.recv()
                rest = [line async for line in lines]
                _, err = await process.communicate()
    assert process.returncode == 0, err
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert any(line.startswith("retry: ") for line in rest)
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("environ", "address"),
    [({}, "203.0.113.7"), ({"RTDEMO_TRUSTED_PROXIES": "0"}, "127.0.0.1")],
    ids=["one router", "no router"],
)
async def test_procfile_serves_everything_on_port(
    run: Run, environ: dict[str, str], address: str
) -> None:
    """Page and both transports on $PORT; the client's address is what the platform's router reports."""
    words = (ROOT / "Procfile").read_text().strip().removeprefix("web: python -m rtdemo ")
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"echo {words}"), env=environ, stdout=asyncio.subprocess.PIPE
    )
    command = (await shell.communicate())[0].decode().split()
    port = free_port()
    process = await run(*command, PORT=str(port))
    page, url, _ = await announced(process)
    assert (page, url) == (f"http://localhost:{port}/", f"ws://localhost:{port}/ws")
    async with websockets.connect(url) as ws, httpx.AsyncClient() as http:
        assert "established" in str(await ws.recv())
        assert (await http.get(page)).status_code == 200
        forged_and_real = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        request = await http.get(f"{page}api/probe/request", headers=forged_and_real)
        assert request.json()["remote"] == address
        async with http.stream("GET", page + "api/sse") as stream:
            lines = stream.aiter_lines()
            assert "established" in await anext(lines)


async def test_json_log_has_one_object_a_line_and_no_contents(run: Run, tmp_path: Path) -> None:
    """Connects and disconnects are logged with their fields, but no client's texts and no full id."""
    (tmp_path / ".env").write_text("RTDEMO_LOG_FORMAT=json\n")
    (tmp_path / "bad.py").write_text(
        "from rtdemo import producer\n@producer\ndef bad(): raise OSError('x')"
    )
    process = await run("serve", "bad.py", *FREE)
    _, url, _ = await announced(process)
    async with websockets.connect(url) as ws:
        welcome = json.loads(await ws.recv())
        await ws.send("my secret")
        await ws.recv()
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    lines = [json.loads(line) for line in err.splitlines()]
    assert b"my secret" not in err
    assert welcome["client"].encode() not in err
    connected, failed, disconnected = [line for line in lines if "client" in line or "traceback" in line]
    assert (connected["transport"], connected["remote"], connected["level"]) == (
        "websocket",
        "127.0.0.1",
        "info",
    )
    assert "OSError: x" in failed["message"]
    assert (disconnected["reason"], disconnected["code"], disconnected["client"]) == (
        "client left",
        1000,
        welcome["client"][:8],
    )
    assert disconnected["seconds"] >= 0


async def test_version_and_help(run: Run) -> None:
    """The help lists settings with their flags, variables and defaults, and the commands."""
    out, _ = await (await run("--version")).communicate()
    assert out.decode().strip() == f"rtdemo {__version__}"
    out, _ = await (await run("serve", "--help")).communicate()
    assert [w for w in ("--port", "[PORT]", "RTDEMO_SINGLE_SITE", "3001") if w not in out.decode()] == []
    out, _ = await (await run("--help")).communicate()
    assert "serve" in out.decode()

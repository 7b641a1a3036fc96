"""Several worker processes at one address: counters, posts, signals, and workers that end or hang."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx_sse
import pytest
import pytest_asyncio

from tests.cluster.process import Process, rtdemo
from tests.cluster.scenarios import children, stats
from tests.free_port import free_port

FAILING = """
from rtdemo import producer

@producer(every=0.01)
def failing():
    raise ValueError("no")
"""

SLOW = """
import asyncio
from rtdemo import hookimpl

@hookimpl
async def receive(client, text):
    if text == "slow":
        await asyncio.sleep(1.5)
        return "done"
"""
HANGS = """
import pathlib, time

pathlib.Path("hangs").touch()
time.sleep(3600)
"""
PATIENT = """
from rtdemo.cli.main import main
from rtdemo.server import worker_process

worker_process.START_TIMEOUT_S = worker_process.STOP_TIMEOUT_S = 3600.0
main()
"""
STARTS = """
import subprocess

subprocess.run(
    'new="$REPORT.$$"; ls -l /proc/self/fd > "$new"; echo "${RTDEMO_WORKER:-none}" >> "$new"'
    '; mv "$new" "$REPORT"',
    shell=True,
    close_fds=False,
)
"""

Ask = Callable[[Process, aiohttp.ClientSession], Awaitable[Any]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[Process]:
    """Two workers, each with a log of its own."""
    (folder / "failing.py").write_text(FAILING)
    (folder / "slow.py").write_text(SLOW)
    server = rtdemo(
        folder,
        "server",
        *(str(folder / "failing.py"), str(folder / "slow.py")),
        *("--workers", "2", "--isolated-workers", "--drain-seconds", "1"),
    )
    server.environ["TMPDIR"] = str(folder)
    await server.start()
    async with aiohttp.ClientSession() as http:
        while (await stats(server, http))["workers"] < 2:
            await asyncio.sleep(0.02)
    yield server
    server.signal(signal.SIGCONT)
    await server.kill()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    """A server for a test that ends or pauses workers."""
    async with two_workers(tmp_path) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A server for all tests that leave its workers as they are."""
    async with two_workers(tmp_path_factory.mktemp("lasting")) as server:
        yield server


async def test_every_worker_reports_the_sum_of_all(
    lasting: Process, http: aiohttp.ClientSession
) -> None:
    """Statistics count the connections of both workers, in JSON and for Prometheus."""
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(http.get(f"{lasting.url}/api/sse"))
        # The workers' sum may be 250 ms old.
        while (await stats(lasting, http))["connections"]["sse"] != 20:
            await asyncio.sleep(0.02)
        for _ in range(8):
            # Each on a new connection, so that both workers get requests.
            async with aiohttp.ClientSession() as asking:
                found = await stats(lasting, asking)
                # A worker that answers late is left out of a sum.
                while found["servers"]["count"] < 2 or found["connections"]["sse"] < 20:
                    await asyncio.sleep(0.02)
                    found = await stats(lasting, asking)
                assert found["connections"] == {"websocket": 0, "sse": 20}
                assert found["servers"]["connections"] == {"websocket": 0, "sse": 20}
                assert found["servers"]["count"] == 2
                text = ""
                while "rtdemo_workers 2.0" not in text:
                    async with asking.get(f"{lasting.url}/metrics") as answer:
                        text = await answer.text()
                    await asyncio.sleep(0.02)
                assert 'rtdemo_connections{transport="sse"} 20.0' in text


async def test_posts_reach_the_worker_with_the_stream(lasting: Process) -> None:
    """A text of an SSE client is answered, whichever worker its POST reaches first."""
    async with (
        httpx.AsyncClient(base_url=lasting.url) as http,
        httpx_sse.aconnect_sse(http, "GET", "/api/sse") as stream,
    ):
        events = stream.aiter_sse()
        client = (await anext(events)).json()["client"]
        sent = [f"text {number}" for number in range(8)]
        for text in sent:
            # Each on a new connection, so that both workers get requests.
            async with httpx.AsyncClient(base_url=lasting.url) as posting:
                answer = await posting.post(f"/api/messages?client={client}", content=text)
            assert answer.status_code == 202
        received: list[str] = []
        while len(received) < len(sent):
            message = (await anext(events)).json()
            if message["producer"] == "echo":
                received.append(message["message"])
        assert received == [f"Echo: {text}" for text in sent]
        unknown = await http.post("/api/messages?client=nobody", content="hello")
        assert unknown.status_code == 404


async def test_every_worker_reports_where_a_connection_is(lasting: Process) -> None:
    """The answer names the one process with the connection."""
    async with (
        httpx.AsyncClient(base_url=lasting.url) as http,
        httpx_sse.aconnect_sse(http, "GET", "/api/sse") as stream,
    ):
        events = stream.aiter_sse()
        client = (await anext(events)).json()["client"]
        address = f"/api/probe/connection?client={client}"
        processes = set()
        for _ in range(8):
            async with httpx.AsyncClient(base_url=lasting.url) as asking:
                # One asks the other, which may answer late.
                while (answer := await asking.get(address)).status_code != 200:
                    await asyncio.sleep(0.02)
                processes.add(answer.json()["process"])
        assert processes < set(children(lasting))
        (process,) = processes
        # So a POST goes to that worker, and asks no other one.
        assert client.endswith(f"-{process}")


async def test_slow_plugin_answers_whichever_worker_a_post_reaches(lasting: Process) -> None:
    """The POST is answered after the plugin has finished, as on the worker with the stream."""
    async with (
        httpx.AsyncClient(base_url=lasting.url) as http,
        httpx_sse.aconnect_sse(http, "GET", "/api/sse?producers=slow") as stream,
    ):
        events = stream.aiter_sse()
        client = (await anext(events)).json()["client"]

        async def post() -> int:
            async with httpx.AsyncClient(base_url=lasting.url, timeout=20) as posting:
                return (await posting.post(f"/api/messages?client={client}", content="slow")).status_code

        assert await asyncio.gather(*(post() for _ in range(4))) == [202] * 4
        received: list[str] = []
        while len(received) < 4:
            message = (await anext(events)).json()
            if message["producer"] == "slow":
                received.append(message["message"])
        assert received == ["done"] * 4


async def test_enable_reaches_every_worker(lasting: Process, http: aiohttp.ClientSession) -> None:
    """A request to enable a producer reaches all workers; the producer list shows their failures."""
    async with AsyncExitStack() as stack:
        for _ in range(12):
            await stack.enter_async_context(http.get(f"{lasting.url}/api/sse"))

        async def failing() -> dict[str, Any]:
            async with http.get(f"{lasting.url}/api/producers") as answer:
                found = await answer.json()
            return next(entry for entry in found if entry["name"] == "failing")

        while (await failing())["failures"] < 2:
            await asyncio.sleep(0.02)
        assert (await failing())["lastError"] == "ValueError: no"
        async with http.post(f"{lasting.url}/api/producers/failing/enable") as answer:
            assert answer.status == 200


async def test_only_other_workers_may_request_statistics_of_one(
    lasting: Process, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{lasting.url}/api/worker") as answer:
        assert answer.status == 404


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """Return the code with which the server closes."""
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return socket.close_code


async def test_sigterm_stops_all(server: Process, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Every client gets close code 1001, and no process, socket or folder remains."""
    pids = children(server)
    sockets = [await http.ws_connect(f"{server.url}/ws") for _ in range(8)]
    stopping = asyncio.ensure_future(server.stop())
    assert await asyncio.gather(*map(closed, sockets)) == [1001] * 8
    assert await stopping == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.glob("rtdemo-*")) == []


async def test_terminal_that_closes_cuts_no_client(
    server: Process, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Its SIGHUP reaches the workers too; they ignore it, and their parent replaces them."""
    before = children(server)
    socket = await http.ws_connect(f"{server.url}/ws")
    for pid in before:
        os.kill(pid, signal.SIGHUP)
    server.signal(signal.SIGHUP)
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    assert socket.close_code == 1001
    while len(set(children(server)) - set(before)) < 2 or set(children(server)) & set(before):
        await asyncio.sleep(0.02)
    assert "was ended by" not in server.log.read_text()


@pytest.mark.parametrize("nohup", [False, True])
async def test_one_process_drains_as_its_terminal_closes(
    tmp_path: Path, http: aiohttp.ClientSession, nohup: bool
) -> None:
    """SIGHUP stops a single process, unless nohup has it ignored."""
    server = rtdemo(tmp_path, "server")
    if nohup:
        server.command[:0] = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    await server.start()
    socket = await http.ws_connect(f"{server.url}/ws")
    server.signal(signal.SIGHUP)
    if nohup:
        await socket.send_str("still there?")
        while "still there?" not in str((await socket.receive()).data):
            pass
        await server.stop()
        return
    while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    assert socket.close_code == 1001
    assert server.process is not None
    assert await server.process.wait() == 0


async def test_workers_keep_the_addresses_of_their_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings change on SIGHUP; for a changed address a warning is logged."""
    monkeypatch.chdir(tmp_path)
    port = free_port()
    lines = ["HOST=127.0.0.1", f"PORT={port}", "RTDEMO_SINGLE_SITE=1", "LOG_LEVEL=warning"]
    dotenv = tmp_path / ".env"
    dotenv.write_text("\n".join(lines))
    command = [sys.executable, "-m", "rtdemo", "--workers", "2", "--isolated-workers"]
    here = {"PYTHONPATH": str(Path(__file__).parents[2])}
    server = Process(command, port, tmp_path / "server.log", here)
    await server.start()
    before = children(server)
    while len(before) < 2:
        before = children(server)
        await asyncio.sleep(0.02)
    dotenv.write_text("\n".join([*lines, "RTDEMO_SINGLE_SITE=0", "PORT=1", "HOST=::1"]))
    server.signal(signal.SIGHUP)
    while set(children(server)) & set(before):
        await asyncio.sleep(0.02)
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/healthz") as answer:
        assert answer.status == 200
    assert await server.stop() == 0
    log = server.log.read_text()
    assert "the addresses are those of the parent process; restart to change them" in log
    assert "Traceback" not in log


async def test_workers_exit_when_their_parent_is_killed(server: Process, tmp_path: Path) -> None:
    """The last worker removes their folder."""
    pids = children(server)
    await server.kill()
    while any(_runs(pid) for pid in pids) or list(tmp_path.glob("rtdemo-*")):
        await asyncio.sleep(0.02)


async def test_workers_that_all_end_are_replaced(
    server: Process, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Once: their folder stays while the parent runs, so their successors reach each other."""
    before = children(server)
    (folder,) = tmp_path.glob("rtdemo-*")
    opened = os.open(folder, os.O_RDONLY)  # so that no other folder gets its number
    for pid in before:
        os.kill(pid, signal.SIGTERM)
    while len(successors := set(children(server)) - set(before)) < 2 or any(map(_runs, before)):
        await asyncio.sleep(0.02)
    while True:
        with suppress(aiohttp.ClientError):
            if (await stats(server, http))["workers"] == 2:
                break
        await asyncio.sleep(0.02)
    assert set(children(server)) == successors
    assert os.path.samestat(os.fstat(opened), folder.stat())
    os.close(opened)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_worker_that_hangs_delays_no_answer(server: Process) -> None:
    """The sum omits it."""
    frozen = children(server)[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        # The first sums may be those of the last 250 ms, from before it hung.
        while (found := await answer_of_one(server, stats))["workers"] == 2:
            await asyncio.sleep(0.05)
        assert found["workers"] == 1
    finally:
        os.kill(frozen, signal.SIGCONT)


async def answer_of_one(server: Process, ask: Ask) -> Any:
    """Return what a worker answers that is not paused.

    The kernel gives each connection to any worker. Of so many, hardly all reach a paused one, which
    would be taken for hung and replaced before a second try.
    """

    async def asked() -> Any:
        async with aiohttp.ClientSession() as http:
            return await ask(server, http)

    asking = [asyncio.ensure_future(asked()) for _ in range(16)]
    try:
        for answered in asyncio.as_completed(asking):
            with suppress(aiohttp.ClientError):  # that worker has just been killed
                return await answered
        raise AssertionError("no worker answers")
    finally:
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)


async def counted(server: Process) -> float:
    """Return the number of messages in /metrics."""
    text = await answer_of_one(server, metrics)
    found = re.search(r'^rtdemo_messages_total{transport="sse"} (\S+)', text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def metrics(server: Process, http: aiohttp.ClientSession) -> str:
    async with http.get(f"{server.url}/metrics") as answer:
        return await answer.text()


# Alone: the parent takes a worker that is paused for 10 s for hung, and replaces it.
@pytest.mark.alone
async def test_counters_never_decrease_when_a_worker_ends(
    server: Process, http: aiohttp.ClientSession
) -> None:
    """The counts of a worker that is paused, killed or replaced stay in the sum."""
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(http.get(f"{server.url}/api/sse?speed=20"))
        while await counted(server) < 200:
            await asyncio.sleep(0.05)
    while (await stats(server, http))["connections"]["sse"]:
        await asyncio.sleep(0.02)
    before, (paused, killed) = await counted(server), children(server)
    uptime = (await stats(server, http))["uptime"]
    os.kill(paused, signal.SIGSTOP)
    assert await counted(server) == before
    os.kill(paused, signal.SIGCONT)
    os.kill(killed, signal.SIGKILL)
    while killed in children(server):
        await asyncio.sleep(0.02)
    assert await counted(server) == before
    while len(children(server)) < 2:
        await asyncio.sleep(0.02)
    old = set(children(server))
    server.signal(signal.SIGHUP)
    while old & set(children(server)):
        await asyncio.sleep(0.02)
    assert await counted(server) == before
    async with aiohttp.ClientSession() as asking:
        assert (await stats(server, asking))["uptime"] > uptime


async def run_failing(tmp_path: Path, *arguments: str, **environ: str) -> tuple[int | None, str]:
    """Run a server that cannot start; return its exit code and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "--host", "127.0.0.1", "--single-site", *arguments),
        cwd=tmp_path,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    return process.returncode, err.decode()


async def test_start_that_fails_is_reported_once(tmp_path: Path) -> None:
    """Not once by each worker, and with the exit code of a single process."""
    with_redis = ("--workers", "3", "--engine", f"redis://127.0.0.1:{free_port()}")
    code, err = await run_failing(tmp_path, "--port", "0", *with_redis)
    assert (code, err.count("\n")) == (1, 1)
    assert "--engine-optional" in err
    taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    code, err = await run_failing(tmp_path, "--port", str(port), *with_redis)
    taken.close()
    assert (code, err.count("\n")) == (1, 1)
    assert str(port) in err


async def test_sigterm_during_the_start_stops_the_server(tmp_path: Path) -> None:
    """Even if a plugin prevents the first worker from serving.

    The plugin, the start and a worker that drains each take an hour here. So a server that waits for one
    of them exceeds the time limit, and a slow machine does not.
    """
    (tmp_path / "hanging.py").write_text(HANGS)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PATIENT, "serve", "hanging.py", "--host", "127.0.0.1", "--port", "0"),
        *("--single-site", "--workers", "2", "--isolated-workers"),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    )
    while not (tmp_path / "hangs").exists():
        await asyncio.sleep(0.02)
    server.terminate()
    try:
        async with asyncio.timeout(60):
            assert await server.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


async def test_several_workers_need_one_log(tmp_path: Path) -> None:
    """Without Redis the server does not start, unless --isolated-workers allows a log for each."""
    code, err = await run_failing(tmp_path, "--port", "0", "--workers", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert "--isolated-workers" in err
    assert "--engine redis://" in err


@pytest.mark.parametrize(
    "text", ["1", '{"sockets":{},"parent":999,"ready":999,"folder":"","announce":false}']
)
async def test_variable_of_the_workers_set_by_hand(tmp_path: Path, text: str) -> None:
    code, err = await run_failing(tmp_path, "--port", "0", RTDEMO_WORKER=text)
    assert (code, err.count("\n")) == (1, 1)
    assert "unset it" in err


async def test_program_of_a_plugin_inherits_nothing(tmp_path: Path) -> None:
    """A program that outlives the server has none of its sockets, pipes and handover variable."""
    (tmp_path / "starts.py").write_text(STARTS)
    server = rtdemo(
        tmp_path, "server", str(tmp_path / "starts.py"), "--workers", "2", "--isolated-workers"
    )
    server.environ["REPORT"] = str(tmp_path / "report")
    await server.start()
    assert await server.stop() == 0
    *files, variable = (tmp_path / "report").read_text().splitlines()
    assert [file for file in files if "socket:" in file or "pipe:" in file] == []
    assert variable == "none"

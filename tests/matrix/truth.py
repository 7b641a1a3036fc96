"""Measure a set-up with clients that `rtdemo doctor` does not use: httpx, websockets and h2."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Origin, Subprotocol

from tests.matrix import websocket_h2
from tests.matrix.backend import SUBPROTOCOL, Backend
from tests.matrix.facts import EventFact, Facts, SocketFacts, StreamFacts
from tests.matrix.setup import Setup
from tests.system_packages import CURL, require

SCRIPT = "100@0.6,6144@1.3,65536@1.3,100@1.6,100@1.3,end@1.0"
"""Sizes of events, and the seconds before each. An event is followed by silence."""
LONG = ",".join(["100@1"] * 15) + ",end@1"
"""A stream with an event each second: some proxies notice only then that a client has left."""
LEFT_S = 2.5
"""Seconds after which such a stream is gone everywhere once its client has left."""
STREAMS = 7
"""Streams opened at once: one more than a browser opens over HTTP/1.1."""
STREAMS_S, STEP_S = 8.0, 0.1
"""Seconds for them to begin, and between two looks at them."""
ANSWER_TIMEOUT_S = 12.0
PATIENCE_S = 8.0
"""Seconds after the end of a script in which its stream must end, on a slow line."""
TRIES = 3
"""Runs of a script, of which the best counts: a machine may be busy, but a proxy holds each time."""
SHORT_SILENCE_S = 3.0
"""Silence of a WebSocket over HTTP/2: longer ones are examined over HTTP/1.1."""
ECHOES, ECHOES_MS = 20, 3000.0
"""Texts that are echoed, and the milliseconds after which no further one is sent."""
POSTS = 6
BURST = 30
BUSY_S = 0.5
WATCH_MARGIN_S = 8.0
"""Seconds after a silence in which what ends it must arrive, on a busy machine too."""
CODINGS = "gzip, deflate, br, zstd"
"""Codings that Chrome offers."""
PLAIN = {"Accept-Encoding": "identity"}
FORWARDING = ("forwarded", "x-forwarded-for", "x-real-ip", "via", "x-forwarded-proto")
FAILURES = (
    *(httpx.HTTPError, httpx.StreamError, OSError, TimeoutError, ValueError, ssl.SSLError),
    StopAsyncIteration,
)


@dataclass
class Client:
    """What all measurements need.

    Arguments:
        url: of the outermost hop.
        authority: file with the certificate of the authority.
        trusted: whether the certificate is good.
        backends: the servers.
        setup: the set-up.
    """

    url: str
    authority: Path
    trusted: bool
    backends: list[Backend]
    setup: Setup

    @property
    def verify(self) -> ssl.SSLContext:
        """Parameters of TLS for one client: each sets the protocols that it offers."""
        return _parameters(self.authority, self.trusted)

    def http(self, version: str) -> httpx.AsyncClient:
        """Return an HTTP client for one version."""
        return httpx.AsyncClient(
            http1=version == "1.1",
            http2=version == "2",
            verify=self.verify,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, read=None),
            headers={"Accept-Encoding": CODINGS, "Accept": "*/*", **self.setup.headers},
            limits=httpx.Limits(max_connections=None if version == "1.1" else 1),
            trust_env=False,
        )

    def sse(self, script: str, mark: str = "") -> str:
        """Return the URL of an event stream."""
        return f"{self.url}/api/sse?script={script}" + (f"&mark={mark}" if mark else "")

    @property
    def ws(self) -> str:
        """URL of the WebSocket."""
        return f"ws{self.url.removeprefix('http')}/ws"

    def arrived(self, mark: str) -> dict[str, str] | None:
        """Return the headers of a marked request, with `:version`; None if it did not arrive."""
        for backend in self.backends:
            if mark in backend.arrived:
                found = backend.arrived[mark]
                return {**found.headers, ":version": found.version, ":target": found.target}
        return None


async def measure(
    url: str, backends: list[Backend], setup: Setup, authority: Path, *, is_brief: bool = False
) -> Facts:
    """Return the facts about a set-up.

    Arguments:
        url: of its outermost hop.
        backends: its servers.
        setup: the set-up.
        authority: file with the certificate of the authority.
        is_brief: whether to leave out the facts about many streams and requests, and about caches.
    """
    facts = Facts()
    facts.certificate, facts.alpn = await _tls(url, authority)
    client = Client(url, authority, not facts.certificate, backends, setup)
    facts.round_trip_ms = await _round_trip(client)
    one_way = 1000 * sum(hop.options.get("delay_s", 0.0) for hop in setup.hops)
    versions = ["1.1", *(["2"] if facts.alpn == "h2" else [])]
    streams = [_best_stream(client, version, one_way) for version in versions]
    if is_brief:
        facts.sse = dict(zip(versions, await asyncio.gather(*streams), strict=True))
    else:
        facts.sse = {version: await one for version, one in zip(versions, streams, strict=True)}
    if "2" in versions and not facts.sse["2"].status and await _curl_reads(client):
        # httpx has a quarrel with lighttpd 1.4.69 that curl and browsers do not have.
        versions.remove("2")
        del facts.sse["2"]
    facts.ws = await _sockets(client, versions)
    if await _reaches(client, facts):
        await _requests(client, facts, 1 if is_brief else POSTS)
        for version in versions:
            if facts.sse[version].is_open and not is_brief:
                facts.sse[version].streams = await _streams(client, version)
                facts.sse[version].is_cached = await _is_cached(client, version)
                facts.sse[version].large_encoding = await _large_encoding(client, version)
        await _watch(client, facts)
    facts.burst = await _burst(client, 1 if is_brief else BURST)
    return facts


def _parameters(authority: Path, verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    if not verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _tls(url: str, authority: Path) -> tuple[str, str]:
    """Return what is wrong with the certificate, and the protocol that TLS agreed on."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "", ""
    for verified in (True, False):
        context = _parameters(authority, verified)
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        except ssl.SSLCertVerificationError as error:
            wrong = error.verify_message
            continue
        agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol() or ""
        writer.close()
        if verified:
            return "", agreed
        if "expired" in wrong:
            return "expired", agreed
        return ("name" if "match" in wrong else "untrusted"), agreed
    raise AssertionError("no TLS")


async def _reaches(client: Client, facts: Facts) -> bool:
    return any(stream.is_open for stream in facts.sse.values()) or any(
        socket.is_open for socket in facts.ws.values()
    )


async def _round_trip(client: Client) -> float:
    """Return the shortest time of a request over an open connection, in milliseconds."""
    times = [0.0]
    try:
        async with client.http("1.1") as http, asyncio.timeout(ANSWER_TIMEOUT_S):
            times = []
            for number in range(6):
                began = _now()
                await http.get(f"{client.url}/api/time?n={number}")
                times.append(_now() - began)
    except FAILURES:
        pass
    return round(min(times[1:], default=0.0), 1)


async def _best_stream(client: Client, version: str, one_way: float) -> StreamFacts:
    """Run the script until no event is held, at most `TRIES` times; return the best run."""
    best: StreamFacts | None = None
    is_expected = {"held", "clumped", "slow"} & set(client.setup.fault)
    for _ in range(1 if is_expected else TRIES):
        found = await _stream(client, version, one_way)
        if best is None or _quality(found) > _quality(best):
            best = found
        if not best.is_open or not (best.held or best.clump_ms or best.bytes_per_s < 1e6):
            break
    assert best is not None
    return best


def _quality(stream: StreamFacts) -> tuple[float, ...]:
    """Return what makes one run better than another: the machine can only make a run worse."""
    return (float(stream.is_open), -len(stream.held), -stream.clump_ms, stream.bytes_per_s)


async def _stream(client: Client, version: str, one_way: float) -> StreamFacts:
    facts = StreamFacts()
    pieces: list[tuple[float, bytes]] = []
    seconds = sum(float(step.split("@")[1]) for step in SCRIPT.split(","))
    began = _now()
    try:
        async with (
            asyncio.timeout(ANSWER_TIMEOUT_S + seconds + PATIENCE_S),
            client.http(version) as http,
        ):
            url = client.sse(SCRIPT, f"sse-{version}")
            headers = {"Last-Event-ID": "abc-1", "Origin": _origin(client.url)}
            async with http.stream("GET", url, headers=headers) as answer:
                facts.status = answer.status_code
                facts.headers = {name.lower(): value for name, value in answer.headers.items()}
                facts.open_ms = _now() - began
                if not facts.is_open:
                    facts.error = (await answer.aread())[:300].decode(errors="replace")
                    return facts
                async for piece in answer.aiter_raw():
                    pieces.append((_now(), piece))  # noqa: PERF401 - kept when the stream is cut
    except FAILURES as error:
        facts.error = f"{type(error).__name__}: {error}"[:200]
    facts.events = _events(pieces, facts.encoding, one_way)
    if "peer closed" in facts.error:
        # What did not arrive before a cut was not held.
        facts.events = [event for event in facts.events if event.delay_ms is not None]
    return facts


def _events(pieces: list[tuple[float, bytes]], encoding: str, one_way: float) -> list[EventFact]:
    """Return how the events of the script arrived, without the time that any byte takes.

    A stream in a coding that this program cannot decode has none.
    """
    if encoding in ("br", "zstd"):
        return []
    decoder = zlib.decompressobj(47) if encoding else None
    text, arrivals = b"", []
    for at, piece in pieces:
        text += decoder.decompress(piece) if decoder else piece
        arrivals.append((at, len(text)))
    found: list[EventFact] = []
    sizes = [int(step.split("@")[0]) for step in SCRIPT.split(",") if not step.startswith("end")]
    sent: list[float] = []
    for number, match in enumerate(re.finditer(rb"data: (\{.*?\})\n\n", text)):
        event = json.loads(match[1])
        sent.append(event["sentAt"])
        if number == 0:
            continue
        times = [at for at, length in arrivals if length > match.start()]
        done = next(at for at, length in arrivals if length >= match.end())
        # Bytes of an earlier event show that a slow line is busy.
        on_its_way = [sent[-1] + one_way, *(at for at, _ in arrivals if sent[-1] + one_way < at <= done)]
        stall = max((b - a for a, b in pairwise(on_its_way)), default=0.0)
        first, last = times[0] - sent[-1] - one_way, done - sent[-1] - one_way
        found.append(EventFact(sizes[number - 1], round(first, 1), round(last, 1), round(stall, 1)))
    for number, fact in enumerate(found):
        if fact.is_held and fact.delay_ms is not None:
            done = sent[number + 1] + fact.delay_ms
            later = [at for at in sent[number + 2 :] if at <= done + 50]
            fact.released = "next" if later else "end"
            if number + 1 == len(found) or (later and done - sent[-1] > 500):
                fact.released = "end"
    missing = sizes[len(found) :]
    return found + [EventFact(size) for size in missing]


async def _curl_reads(client: Client) -> bool:
    """Return whether curl reads a stream over HTTP/2."""
    words = ("--http2", "--insecure", "--silent", "--max-time", "10", "--write-out", "%{http_version}")
    url = client.sse("100@0.1,end@0.1")
    process = await asyncio.create_subprocess_exec(
        *(require(CURL), *words, "--output", "/dev/null", url), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode == 0 and out.strip() == b"2"


async def _sockets(client: Client, versions: list[str]) -> dict[str, SocketFacts]:
    found = {"1.1": await _socket(client)}
    if "2" in versions:
        modern = await websocket_h2.handshake(client.ws, SHORT_SILENCE_S)
        found["2"] = SocketFacts(modern.is_offered, modern.status, modern.error)
        found["2"].silent_lost = modern.is_alive is False
    return found


@asynccontextmanager
async def _open(client: Client, query: str = "") -> AsyncIterator[ClientConnection]:
    is_secure = client.ws.startswith("wss")
    async with connect(
        client.ws + query,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        origin=Origin(_origin(client.url)),
        additional_headers=client.setup.headers,
        ssl=client.verify if is_secure else None,
        ping_interval=None,
        max_size=None,
        close_timeout=1,
        open_timeout=ANSWER_TIMEOUT_S,
        proxy=None,
    ) as socket:
        yield socket


async def _socket(client: Client) -> SocketFacts:
    facts = SocketFacts()
    try:
        async with _open(client, "?mark=ws") as socket:
            facts.status = 101
            facts.subprotocol = str(socket.subprotocol or "")
            assert socket.response is not None
            facts.extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                times: list[float] = []
                while len(times) < ECHOES and sum(times) < ECHOES_MS:
                    began = _now()
                    await socket.send("short")
                    await socket.recv()
                    times.append(_now() - began)
                facts.first_ms = round(min(times), 1)
                facts.is_large_echoed = False
                await socket.send("x" * 65_536)
                facts.is_large_echoed = len(await socket.recv()) == 65_536
    except InvalidStatus as error:
        facts.status = error.response.status_code
        facts.error = error.response.body[:200].decode(errors="replace") or "refused"
    except InvalidURI:
        facts.status, facts.error = 302, "redirected"
    except (WebSocketException, OSError, TimeoutError, ValueError) as error:
        facts.error = f"{type(error).__name__}: {error}"[:200]
    return facts


async def _requests(client: Client, facts: Facts, posts: int) -> None:
    """Find out how requests arrive, and where texts for a stream do."""
    facts.host = urlsplit(client.url).netloc
    sent = client.arrived("sse-1.1") or {}
    socket = client.arrived("ws") or {}
    facts.arrived = {
        "version": sent.get(":version", ""),
        "host": sent.get("host", ""),
        "forwarding": [name for name in FORWARDING if name in sent],
        "address": bool({"forwarded", "x-forwarded-for", "x-real-ip"} & set(sent)),
        "last-event-id": sent.get("last-event-id") == "abc-1",
        "origin": sent.get("origin") == _origin(client.url),
        "upgrade": "websocket" in socket.get("upgrade", "").lower(),
        "subprotocol": socket.get("sec-websocket-protocol") == SUBPROTOCOL,
        "socket": bool(socket),
    }
    try:
        async with client.http("1.1") as http:
            for number in range(posts):
                async with http.stream("GET", client.sse(LONG), headers=PLAIN) as stream:
                    if stream.status_code != 200:
                        facts.post.append(-stream.status_code)
                        continue
                    pieces = stream.aiter_text()
                    async with asyncio.timeout(3):
                        owner = await _client_id(pieces)
                    url = f"{client.url}/api/messages?client={owner}"
                    # Over a connection of its own, as browsers do while the stream is open.
                    facts.post.append((await http.post(url, content=b"hello")).status_code)
                    if number == 0:
                        large = await http.post(url, content=b"x" * 60_000)
                        facts.large_post = large.status_code
                    await anext(pieces)
    except FAILURES as error:
        facts.post.append(0)
        facts.arrived["error"] = f"{type(error).__name__}: {error}"[:200]


async def _client_id(pieces: AsyncIterator[str]) -> str:
    text = ""
    while not (match := re.search(r'"client": "([^"]+)"', text)):
        text += await anext(pieces)
    return match[1]


async def _streams(client: Client, version: str) -> int:
    """Return how many of several streams begin that are opened at once."""
    begun: set[int] = set()
    await asyncio.sleep(LEFT_S)

    async def one(http: httpx.AsyncClient, stack: AsyncExitStack, number: int) -> None:
        stream = await stack.enter_async_context(http.stream("GET", client.sse(LONG)))
        async for _ in stream.aiter_raw():
            # Leaving this loop would close the stream.
            begun.add(number if stream.status_code == 200 else 0)

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client.http(version))
        tasks = [asyncio.ensure_future(one(http, stack, n)) for n in range(1, STREAMS + 1)]
        for _ in range(int(STREAMS_S / STEP_S)):
            await asyncio.sleep(STEP_S)
            if len(begun - {0}) == STREAMS:
                break
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(begun - {0})


async def _is_cached(client: Client, version: str) -> bool:
    answers = []
    try:
        async with client.http(version) as http, asyncio.timeout(ANSWER_TIMEOUT_S):
            for _ in range(2):
                async with http.stream("GET", client.sse("end@0.2", "cached")) as stream:
                    answers.append(await stream.aread() if stream.status_code == 200 else b"")
    except FAILURES:
        return False
    return len(answers) == 2 and answers[0] == answers[1] != b""


async def _large_encoding(client: Client, version: str) -> str:
    url = f"{client.sse('end@0.2')}&first=4000"
    try:
        async with client.http(version) as http, asyncio.timeout(ANSWER_TIMEOUT_S):
            return str((await http.get(url)).headers.get("content-encoding", ""))
    except FAILURES:
        return ""


async def _burst(client: Client, requests: int) -> dict[int, int]:
    """Return the statuses of many requests in quick succession."""
    counts: Counter[int] = Counter()

    async def one(http: httpx.AsyncClient, number: int) -> None:
        try:
            async with asyncio.timeout(5):
                counts[(await http.get(f"{client.url}/api/time?burst={number}")).status_code] += 1
        except FAILURES:
            counts[0] += 1

    async with client.http("1.1") as http:
        for number in range(requests):
            await one(http, number)
    return dict(counts)


async def _watch(client: Client, facts: Facts) -> None:
    """Find out when silent and busy connections are cut, all at the same time."""
    seconds = client.setup.idle_s + 3
    waits: list[Awaitable[None]] = []
    for version, stream in facts.sse.items():
        if stream.is_open and (stream.streams is None or stream.streams >= STREAMS):
            waits += [
                _watch_stream(client, version, stream, seconds, busy=False),
                _watch_stream(client, version, stream, seconds, busy=True),
            ]
    socket = facts.ws["1.1"]
    if socket.is_open:
        waits += [
            _watch_socket(client, socket, seconds, kind) for kind in ("silent", "listening", "busy")
        ]
    await asyncio.gather(*waits)


async def _watch_stream(
    client: Client, version: str, facts: StreamFacts, seconds: float, *, busy: bool
) -> None:
    steps = int(seconds / BUSY_S) if busy else 1
    pause = BUSY_S if busy else seconds
    script = ",".join([f"100@{pause}"] * steps) + ",end@60"
    is_late = False
    began = time.monotonic()
    ended: float | None = None
    try:
        async with (
            client.http(version) as http,
            asyncio.timeout(seconds + WATCH_MARGIN_S),
            http.stream("GET", client.sse(script)) as answer,
        ):
            began = time.monotonic()
            async for _ in answer.aiter_raw():
                is_late |= time.monotonic() - began > seconds - BUSY_S
                if is_late:
                    break
            else:
                ended = time.monotonic() - began
    except TimeoutError:
        pass
    except FAILURES:
        ended = time.monotonic() - began
    cut = round(ended, 1) if ended is not None else None
    if busy:
        facts.busy_cut_s = cut
    else:
        facts.silent_cut_s = cut
        facts.silent_lost = cut is None and not is_late and not facts.held


async def _watch_socket(client: Client, facts: SocketFacts, seconds: float, kind: str) -> None:
    began = time.monotonic()
    cut: float | None = None
    is_lost = False
    query = f"?every={BUSY_S}" if kind == "listening" else ""
    try:
        async with _open(client, query) as socket:
            began = time.monotonic()
            while (left := began + seconds - time.monotonic()) > 0:
                if kind == "busy":
                    await socket.send("busy")
                try:
                    async with asyncio.timeout(left if kind == "silent" else min(left, BUSY_S * 2)):
                        await socket.recv()
                        if kind == "busy":
                            await asyncio.sleep(BUSY_S)
                except TimeoutError:
                    pass
            await socket.send("after a silence")
            try:
                async with asyncio.timeout(WATCH_MARGIN_S):
                    await socket.recv()
            except TimeoutError:
                is_lost = True
    except (ConnectionClosed, OSError, WebSocketException):
        cut = round(time.monotonic() - began, 1)
    except TimeoutError:
        pass
    if kind == "silent":
        facts.silent_cut_s, facts.silent_lost = cut, is_lost
    elif kind == "listening":
        facts.listening_cut_s = cut
    else:
        facts.busy_cut_s = cut


async def measure_rtdemo(facts: Facts, url: str, authority: Path, headers: Mapping[str, str]) -> None:
    """Add the facts for which the server has to be rtdemo: its page, and its rule for origins."""
    verify = _parameters(authority, not facts.certificate)
    options: dict[str, Any] = {"trust_env": False, "timeout": ANSWER_TIMEOUT_S, "headers": headers}
    async with httpx.AsyncClient(verify=verify, **options) as http:
        try:
            page = await http.get(f"{url}/")
            facts.page = page.status_code
            if script := re.search(r"""<script[^>]+src=["']([^"']+)""", page.text):
                facts.script = (await http.get(str(page.url.join(script[1])))).status_code
            posted = f"{url}/api/messages?client=nobody"
            for name, origin in (
                ("own_origin", _origin(url)),
                ("foreign_origin", "https://foreign.test"),
            ):
                answer = await http.post(posted, headers={"Origin": origin}, content=b"")
                setattr(facts, name, answer.status_code)
        except FAILURES:
            pass


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _now() -> float:
    return time.time() * 1000

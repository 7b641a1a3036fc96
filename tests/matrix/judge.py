"""Judge each line of `rtdemo doctor` by the facts that an independent client measured.

* *wrong*: a fault has no line, a line reports a fault that is not there, or it blames a proxy that is
  not on the way
* *misleading*: a right line with a wrong figure, a wrong HTTP version, a fix for another proxy or none
  that can help, or text that only a program can read
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.matrix.facts import Facts, SocketFacts, StreamFacts
from tests.matrix.proxies import LINE, PROXIES
from tests.matrix.setup import Setup

Kind = Literal["wrong", "misleading"]
SSE_COMMENT_S = 15.0
"""Longest silence of rtdemo's event streams."""
MARGIN = 1.2
"""A limit must be this many times the silence, so that a late heartbeat is still in time."""
SLOW_BYTES_PER_S = 100_000
FAR_MS = 400.0
LATE_MS = 35.0
"""Milliseconds of a delay that one of TCP's timers makes; a busy machine makes less of all events."""
FIGURE_ERROR_S = 2.0
"""Seconds by which a limit may differ from the measured one."""
PRODUCTS = {
    "nginx": r"\bnginx\b",
    "HAProxy": r"\bhaproxy\b",
    "Caddy": r"\bcaddy\b",
    "Apache": r"\bapache\b|\bhttpd\b|\bmod_\w+",
    "Envoy": r"\benvoy\b",
    "h2o": r"\bh2o\b",
    "nghttpx": r"\bnghttpx\b",
    "Varnish": r"\bvarnish\b",
    "lighttpd": r"\blighttpd\b",
    "squid": r"\bsquid\b",
    "Traefik": r"\btraefik\b",
    "Heroku": r"\bheroku\b",
    "Cloudflare": r"\bcloudflare\b",
}
"""How a text names each product."""
RAW = re.compile(
    r"<html|<!doctype|<!DOCTYPE|<head|<title|Traceback|\b[A-Z]\w+(Error|Exception)\b|Errno|"
    r"Cannot connect to host|\bNone\b|\bobject at 0x|\bb'|\bnan\b|\binf\b"
)
"""Texts that people should never see."""


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with a run of doctor.

    Arguments:
        kind: how bad it is.
        line: the line concerned; empty if one is missing.
        truth: what the facts say.
    """

    kind: Kind
    line: str
    truth: str


@dataclass(frozen=True)
class Expected:
    """What has to be reported.

    Arguments:
        codes: any of these codes will do.
        truth: the fact.
        figures: names of figures, and the values that they must be near; any one is enough.
        http: HTTP versions that are concerned; empty if it does not matter.
    """

    codes: frozenset[str]
    truth: str
    figures: Mapping[str, float]
    http: frozenset[str]


Need = Callable[..., None]
FAULTS: Mapping[str, Callable[[Facts], object]] = {
    "held": lambda facts: any(stream.held for stream in facts.sse.values()),
    "compressed": lambda facts: all(stream.encoding for stream in facts.sse.values()),
    "clumped": lambda facts: any(stream.clump_ms for stream in facts.sse.values()),
    "slow": lambda facts: any(0 < s.bytes_per_s < SLOW_BYTES_PER_S for s in facts.sse.values()),
    "far": lambda facts: facts.round_trip_ms > FAR_MS,
    "cached": lambda facts: any(stream.is_cached for stream in facts.sse.values()),
    "streams": lambda facts: (facts.sse["1.1"].streams or 0) < 7,
    "h2 streams": lambda facts: (facts.sse["2"].streams or 0) < 7,
    "http/1.1 only": lambda facts: facts.alpn != "h2",
    "sse silence": lambda facts: facts.sse["1.1"].silent_cut_s,
    "ws silence": lambda facts: facts.ws["1.1"].silent_cut_s,
    "sse drop": lambda facts: facts.sse["1.1"].silent_lost,
    "ws drop": lambda facts: facts.ws["1.1"].silent_lost,
    "sse age": lambda facts: facts.sse["1.1"].busy_cut_s,
    "ws age": lambda facts: facts.ws["1.1"].busy_cut_s,
    "no upgrade": lambda facts: not facts.ws["1.1"].is_open,
    "ws 403": lambda facts: facts.ws["1.1"].status == 403,
    "http 1.0": lambda facts: facts.arrived.get("version") == "1.0",
    "host": lambda facts: facts.arrived.get("host") != facts.host,
    "forwarding": lambda facts: not facts.arrived.get("address"),
    "no last-event-id": lambda facts: not facts.arrived.get("last-event-id"),
    "no origin": lambda facts: not facts.arrived.get("origin"),
    "no subprotocol": lambda facts: not facts.arrived.get("subprotocol"),
    "401": lambda facts: facts.sse["1.1"].status == 401,
    "redirect": lambda facts: facts.sse["1.1"].status == 302,
    "html": lambda facts: "html" in facts.sse["1.1"].headers.get("content-type", ""),
    "429": lambda facts: facts.burst.get(429),
    "503": lambda facts: facts.burst.get(503),
    "502": lambda facts: facts.sse["1.1"].status == 502,
    "504": lambda facts: facts.sse["1.1"].status == 504,
    "large post": lambda facts: facts.large_post not in (0, 202),
    "expired": lambda facts: facts.certificate == "expired",
    "name": lambda facts: facts.certificate == "name",
    "untrusted": lambda facts: facts.certificate == "untrusted",
    "post elsewhere": lambda facts: 404 in facts.post,
    "two logs": lambda facts: 404 in facts.post,
    "content type": lambda facts: facts.sse["1.1"].status == 200 and not facts.sse["1.1"].is_open,
    "post 403": lambda facts: 403 in facts.post,
    "sse buffered whole": lambda facts: not facts.sse["1.1"].is_open or facts.sse["1.1"].held,
    "prefix": lambda facts: facts.sse["1.1"].is_open,
}
"""Names of faults, and whether the facts show them."""
MISDIRECTED = 421
"""Status with which rtdemo on loopback answers a Host that is no name of this machine."""
HELD_CODES = " sse-held-until-next sse-held-until-end sse-held-until-size"
BLOCKING = {
    401: "sign-in",
    403: "forbidden sign-in",
    404: "not-found not-rtdemo",
    429: "rate-limited",
    502: "bad-gateway",
    503: "overloaded",
    504: "gateway-timeout",
}
"""Codes for a path that answers with a status of its own."""


def unlike(setup: Setup, facts: Facts) -> list[str]:
    """Return the faults of a set-up that the facts do not show: then the set-up is wrong."""
    return [name for name in setup.fault if not _shows(name, facts)]


def _shows(name: str, facts: Facts) -> bool:
    try:
        return bool(FAULTS[name](facts))
    except KeyError:
        return False


def expected(setup: Setup, facts: Facts) -> tuple[list[Expected], set[str]]:
    """Return what doctor must report, and further codes that it may."""
    must: list[Expected] = []
    may: set[str] = set()

    def need(
        codes: str,
        truth: str,
        figures: Mapping[str, float] | None = None,
        http: set[str] | None = None,
    ) -> None:
        entry = Expected(frozenset(codes.split()), truth, figures or {}, frozenset(http or ()))
        must.append(entry)

    stream = facts.sse["1.1"]
    limited = {status for status in (429, 503) if facts.burst.get(status)}
    if facts.certificate:
        need(f"certificate-{facts.certificate}", f"the certificate is bad: {facts.certificate}")
    if facts.alpn != "h2" and setup_is_tls(setup):
        if any(one.held for one in facts.sse.values()):
            may |= {"http1-only"}  # seven streams cannot be judged then
        else:
            need("http1-only", "TLS without HTTP/2")
    if _is_blocked(stream):
        _blocked(stream, need, may)
    elif facts.page == MISDIRECTED:
        need("host-rewritten host-refused", f"rtdemo refuses the Host {facts.arrived['host']}")
        may |= {"not-tested", "sse-not-open", "ws-not-open", "not-rtdemo", "page-incomplete"}
    elif limited:
        for status in limited:
            need(BLOCKING[status], f"{facts.burst[status]} of 30 requests were answered {status}")
        may |= {"not-tested", "sse-not-open", "ws-not-open", "streams-limited", "post-refused"}
        may |= {"origin-unclear", "idle-unknown"}
    else:
        _open_way(setup, facts, need, may)
    return must, may


def _open_way(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    _headers(setup, facts, need, may)
    _streams(setup, facts, need, may)
    _sockets(setup, facts, need, may)
    _posts(setup, facts, need, may)
    if facts.page != 200 or (facts.script and facts.script != 200):
        need("page-incomplete", f"the page has {facts.page}, its script {facts.script}")
    if 403 in facts.post:
        # The way refuses each POST, and so the ones that try the rule for origins.
        may |= {"origin-unclear", "forbidden"}
        return
    if facts.own_origin == 403:
        need("origin-own-refused host-rewritten", "rtdemo refuses its own page")
    if facts.foreign_origin and facts.foreign_origin != 403:
        need("origin-foreign-accepted", f"a foreign page gets {facts.foreign_origin}")


def setup_is_tls(setup: Setup) -> bool:
    """Return whether clients use TLS."""
    return any(hop.certificate for hop in setup.hops if hop.kind != LINE)


def _is_blocked(stream: StreamFacts) -> bool:
    return stream.status != 200 or not stream.is_open


def _blocked(stream: StreamFacts, need: Need, may: set[str]) -> None:
    location = stream.headers.get("location", "")
    if location:
        need("sign-in redirected", f"redirected to {location}")
    elif stream.status == 200:
        kind = stream.headers.get("content-type", "nothing")
        codes = "html-answer not-rtdemo" if "html" in kind else "sse-not-open"
        need(codes, f"the stream's address answers with {kind}")
    elif stream.status:
        need(BLOCKING.get(stream.status, "not-rtdemo"), f"the stream answers {stream.status}")
    else:
        need("sse-not-open no-http not-reachable", f"no answer: {stream.error}")
    may |= {"sse-not-open", "ws-not-open", "not-rtdemo", "not-tested", "page-incomplete"}


def _headers(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    arrived = facts.arrived
    if arrived["version"] == "1.0":
        need("http10-upstream", "requests arrive by HTTP/1.0")
    if arrived["host"] != facts.host:
        need("host-rewritten", f"Host arrives as {arrived['host']}")
        may |= {"origin-own-refused", "host-refused"}
    if any(hop.reads_http for hop in setup.hops) and not arrived["address"]:
        # One line has what is wrong with a request's headers.
        codes = "forwarding-missing" + (" host-rewritten" if arrived["host"] != facts.host else "")
        need(codes, "no header has the client's address")
    if any(hop.kind == "stunnel" for hop in setup.hops):
        # It cannot add headers, and clients' addresses are lost all the same.
        may |= {"forwarding-missing"}
    if not arrived["last-event-id"]:
        need("last-event-id-removed", "Last-Event-ID does not arrive")
        may |= {"resume-wrong"}
    if not arrived["origin"]:
        may |= {"origin-unclear"}
    if not facts.ws["1.1"].is_open:
        return
    if not arrived["subprotocol"]:
        need("ws-subprotocol-removed", "Sec-WebSocket-Protocol does not arrive")


def _streams(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    def versions(test: Callable[[StreamFacts], object]) -> set[str]:
        return {version for version, stream in facts.sse.items() if test(stream)}

    if held := versions(lambda stream: stream.held):
        _held(facts, held, need, may)
    if compressed := versions(lambda stream: stream.encoding):
        coding = next(iter(facts.sse.values())).encoding
        # Where it also holds events back, one line may have both.
        codes = "sse-compressed" + (HELD_CODES if held else "")
        need(codes, f"streams are compressed with {coding}", None, compressed)
        may |= {"latency-sse-slower"}
    elif versions(lambda stream: stream.large_encoding):
        # It concerns streams that have much to send at first, such as after a reconnect.
        may |= {"sse-compressed"}
    slow = versions(lambda s: 0 < s.bytes_per_s < SLOW_BYTES_PER_S and not s.held)
    if slow:
        rate = min(stream.bytes_per_s for stream in facts.sse.values())
        need("sse-slow", f"a stream has {rate:.0f} bytes a second", {"bytesPerSecond": rate}, slow)
        may |= {"latency-sse-slower", "sse-clumped"}
    if clumped := versions(lambda stream: stream.clump_ms and not stream.held):
        delay = max(stream.clump_ms for stream in facts.sse.values())
        # What delays each answer alike cannot be told from a long way.
        if delay - facts.round_trip_ms > LATE_MS and not slow:
            need("sse-clumped", f"events come {delay:.0f} ms late", {"delayMs": delay}, clumped)
        may |= {"latency-sse-slower", "sse-clumped"}
        may |= {"ws-clumped"} if (facts.ws["1.1"].first_ms or 0) > LATE_MS else set()
    if cached := versions(lambda stream: stream.is_cached):
        # What it caches it also holds back: one line has the fix for both.
        codes = "sse-cached api-cached" + (HELD_CODES if held else "")
        need(codes, "two requests for a stream have one answer", None, cached)
        may |= {"sse-held-until-end", "sse-held-until-next", "resume-wrong", "not-tested"}
    # Where all is kept back, none begins, whatever their number.
    is_stored = any(
        event.released == "end" or (event is s.events[0] and event.is_held)
        for s in facts.sse.values()
        for event in s.events
    )
    few = versions(lambda stream: stream.streams is not None and stream.streams < 7)
    if few and not is_stored:
        count = min(facts.sse[version].streams or 0 for version in few)
        need("streams-limited overloaded", f"{count} of 7 streams begin", None, few)
        may |= {"not-tested", "post-refused", "overloaded", "sse-not-open"}
    _silence_of_streams(setup, facts, need, may)


def _held(facts: Facts, held: set[str], need: Need, may: set[str]) -> None:
    released = {
        event.released for version in held for event in facts.sse[version].events if event.is_held
    }
    sizes = sorted({size for version in held for size in facts.sse[version].held})
    how = "/".join(sorted(released))
    codes = set(HELD_CODES.split())
    if released == {"end"}:
        codes = {"sse-held-until-end"}
    elif released == {"next"}:
        codes = {"sse-held-until-next", "sse-held-until-size"}
    if any(facts.sse[version].encoding for version in held):
        codes = {"sse-compressed", *HELD_CODES.split()}
    truth = f"events of {', '.join(map(str, sizes))} bytes are held until the {how or 'end'}"
    need(" ".join(codes), truth, None, held)
    may |= {"latency-sse-slower", *codes}
    if "end" in released:
        may |= {"resume-wrong", "not-tested"}


def _silence_of_streams(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    period = min(setup.heartbeat_s, SSE_COMMENT_S)
    ages = {version: s.busy_cut_s for version, s in facts.sse.items() if s.busy_cut_s}
    if ages:
        age = min(ages.values())
        need("age-cut", f"a busy stream is cut after {age} s", {"afterS": age}, set(ages))
        may |= {"sse-idle-cut", "resume-wrong", "nothing-missed"}
        return
    cuts = {version: s.silent_cut_s for version, s in facts.sse.items() if s.silent_cut_s}
    if any(stream.held for stream in facts.sse.values()):
        may |= {"sse-idle-cut"}
        return
    if cuts and min(cuts.values()) < period * MARGIN:
        limit = min(cuts.values())
        truth = f"a silent stream is cut after {limit} s, before the comment after {period:g} s"
        need("sse-idle-cut", truth, {"afterS": limit}, set(cuts))
    elif any(stream.silent_lost for stream in facts.sse.values()):
        need("sse-idle-cut", "what comes after a silence is lost")


def _sockets(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    socket = facts.ws["1.1"]
    if not socket.is_open:
        _closed_socket(facts, socket, need, may)
        return
    modern = facts.ws.get("2")
    if modern is not None and modern.is_offered and not modern.is_open:
        need("ws-not-open", f"HTTP/2 offers WebSockets and answers {modern.status}", None, {"2"})
    elif modern is not None and modern.silent_lost:
        need("ws-idle-cut ws-held", "over HTTP/2, no text comes back after 3 s", None, {"2"})
    if socket.extensions:
        need("ws-compressed", f"the answer accepts {socket.extensions}")
    if socket.is_large_echoed is False:
        need("size-limit", "a text of 64 KiB is not echoed")
    is_slow = any(0 < stream.bytes_per_s < SLOW_BYTES_PER_S for stream in facts.sse.values())
    if (
        not is_slow
        and socket.first_ms
        and socket.first_ms > 35
        and facts.round_trip_ms < socket.first_ms / 2
    ):
        need("ws-clumped", f"an echo takes {socket.first_ms} ms, a request {facts.round_trip_ms}")
    _silence_of_sockets(setup, socket, need, may)


def _silence_of_sockets(setup: Setup, socket: SocketFacts, need: Need, may: set[str]) -> None:
    if socket.busy_cut_s:
        age = socket.busy_cut_s
        need("age-cut", f"a busy WebSocket is cut after {age} s", {"afterS": age})
        may |= {"ws-idle-cut", "ws-client-idle-cut", "resume-wrong", "nothing-missed"}
        return
    limit = socket.silent_cut_s
    if limit and limit < setup.heartbeat_s * MARGIN:
        truth = (
            f"a silent WebSocket is cut after {limit} s, the heartbeat comes after {setup.heartbeat_s:g}"
        )
        need("ws-idle-cut ws-client-idle-cut", truth, {"afterS": limit})
        may |= {"ws-client-idle-cut"} if socket.listening_cut_s else set()
    elif socket.silent_lost:
        need("ws-idle-cut", "what comes after a silence is lost")
    if socket.listening_cut_s and not limit:
        need("ws-client-idle-cut", f"a client's silence is cut after {socket.listening_cut_s} s")


def _closed_socket(facts: Facts, socket: SocketFacts, need: Need, may: set[str]) -> None:
    may |= {"not-tested"}
    if socket.status == 101:
        need("ws-held ws-not-open size-limit", f"the WebSocket opens, then {socket.error}")
    elif facts.arrived["version"] == "1.0":
        need("ws-upgrade-removed http10-upstream", "HTTP/1.0 cannot upgrade")
        may |= {"ws-upgrade-removed"}
    elif socket.status == 403 and not facts.arrived["socket"]:
        need("forbidden ws-not-open ws-upgrade-removed", "the way answers 403 to the handshake")
    elif facts.arrived["upgrade"]:
        need("ws-not-open", f"the handshake fails: {socket.status} {socket.error[:80]}")
    else:
        need("ws-upgrade-removed ws-not-open", f"Upgrade does not arrive: {socket.status}")


def _posts(setup: Setup, facts: Facts, need: Need, may: set[str]) -> None:
    if 404 in facts.post:
        need("post-elsewhere", f"POST answers {facts.post}")
        if setup.servers > 1 and not setup.redis:
            need("separate-logs post-elsewhere", "two servers without a shared log")
            may |= {"separate-logs", "resume-wrong", "nothing-missed"}
    elif {abs(status) for status in facts.post} - {0, 202, 429, 503}:
        need("post-refused forbidden", f"POST answers {facts.post}")
    if facts.large_post not in (0, 202, 404, 429, 503):
        truth = f"a posted text of 60 KB is answered {facts.large_post}"
        need("size-limit post-refused bad-gateway", truth)


def complaints(setup: Setup, facts: Facts, report: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what is wrong with a report of doctor."""
    must, may = expected(setup, facts)
    checks = report["checks"]
    faults = [
        check
        for check in checks
        # What a busy machine prevents is true, and no finding about the set-up.
        if check["verdict"] in ("warn", "fail") and "machine is too busy" not in check["seen"]
    ]
    allowed = set(may).union(*(entry.codes for entry in must)) if must else set(may)
    for check in faults:
        if check["code"] not in allowed:
            yield Complaint("wrong", text(check), "the facts show no such fault")
    for entry in must:
        found = [check for check in faults if check["code"] in entry.codes]
        if not found:
            codes = " or ".join(sorted(entry.codes))
            yield Complaint("wrong", "", f"{entry.truth}; no line has {codes}")
            continue
        yield from _details(setup, entry, found)
    yield from _fixes(setup, facts, must, faults)
    yield from _limits(facts, checks)
    yield from _drops(facts, faults)
    yield from _sizes(facts, faults)
    yield from _words(setup, facts, report)
    yield from _repeated(faults)
    yield from _exit_code(report)


def _exit_code(report: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield an exit code that a script would misread."""
    has_failed = any(check["verdict"] == "fail" for check in report["checks"])
    wanted = (1 if has_failed else 0) if report.get("couldRun", True) else 2
    if report.get("exitCode", wanted) != wanted:
        yield Complaint("wrong", f"exit code {report['exitCode']}", f"it has to be {wanted}")


def _limits(facts: Facts, checks: list[Mapping[str, Any]]) -> Iterator[Complaint]:
    """Yield lines that are ok, but deny a cut that there is, or name another time for it."""
    for check in checks:
        is_sse = check["check"].startswith("SSE")
        cut = facts.sse["1.1"].silent_cut_s if is_sse else facts.ws["1.1"].silent_cut_s
        is_open = facts.sse["1.1"].is_open if is_sse else facts.ws["1.1"].is_open
        if "idle" not in check["check"] or check["verdict"] != "ok" or not is_open:
            continue
        denied = re.search(r"no cut in (\d+)", check["seen"])
        named = re.search(r"(?:cut|dropped)\D* after (\d+(?:\.\d+)?)", check["seen"])
        is_denied = denied and cut and cut < int(denied[1]) - FIGURE_ERROR_S
        is_other = named and (cut is None or abs(float(named[1]) - cut) > FIGURE_ERROR_S)
        if is_denied or is_other:
            yield Complaint("misleading", text(check), f"it is cut after {cut} s")


def _details(setup: Setup, entry: Expected, found: list[Mapping[str, Any]]) -> Iterator[Complaint]:
    for name, value in entry.figures.items():
        figures = [check["figures"][name] for check in found if name in check.get("figures", {})]
        if not figures:
            yield Complaint("misleading", text(found[0]), f"{entry.truth}; no figure {name}")
        elif not any(_is_near(name, figure, value) for figure in figures):
            yield Complaint("misleading", text(found[0]), f"{name} is {figures}, and in truth {value:g}")
    concerned = {version for check in found for version in check.get("http", ())}
    if entry.http and concerned and not entry.http <= concerned:
        truth = f"{entry.truth}, over HTTP/{' and '.join(sorted(entry.http))}"
        yield Complaint("misleading", text(found[0]), truth)
    if entry.http and not concerned <= entry.http and len(entry.http) < 2 and "2" in concerned:
        truth = f"{entry.truth}, only over HTTP/{' and '.join(sorted(entry.http))}"
        yield Complaint("misleading", text(found[0]), truth)


def _is_near(name: str, figure: float, value: float) -> bool:
    if name == "afterS":
        return abs(figure - value) <= FIGURE_ERROR_S
    return value / 2 <= figure <= value * 2


def _fixes(
    setup: Setup, facts: Facts, must: list[Expected], faults: list[Mapping[str, Any]]
) -> Iterator[Complaint]:
    """Yield fixes that do not name the proxy that is at fault, or no directive that cures it."""
    concerned = [check for check in faults if any(check["code"] in entry.codes for entry in must)]
    if not concerned:
        return
    joined = " ".join(check["fix"] for check in concerned)
    if "the same as" in joined:
        joined = " ".join(check["fix"] for check in faults)
    if setup.cure and not any(cure in joined.lower() for cure in setup.cure):
        truth = f"{setup.culprit or 'the fix'} needs {' or '.join(setup.cure)}"
        yield Complaint("misleading", text(concerned[0]), truth)
    elif setup.culprit and not setup.cure and setup.culprit not in products(joined):
        yield Complaint("misleading", text(concerned[0]), f"{setup.culprit} is at fault, not named")
    for check in faults:
        if not check["fix"] and check["verdict"] == "fail" and check["code"] != "not-tested":
            yield Complaint("misleading", text(check), "a fault without a fix")


def _sizes(facts: Facts, faults: list[Mapping[str, Any]]) -> Iterator[Complaint]:
    """Yield lines that say smaller events are held than in truth."""
    for check in faults:
        size = check["figures"].get("sizeBytes")
        held = [min(facts.sse[v].held) for v in check["http"] if v in facts.sse and facts.sse[v].held]
        if size and held and check["code"].startswith("sse-held") and size < min(held) / 4:
            truth = f"only events of {min(held)} bytes and more are held"
            yield Complaint("misleading", text(check), truth)


def _drops(facts: Facts, faults: list[Mapping[str, Any]]) -> Iterator[Complaint]:
    """Yield directives for a proxy where something drops packets: a proxy that gives up closes."""
    lost = {"SSE": facts.sse["1.1"].silent_lost, "WebSocket": facts.ws["1.1"].silent_lost}
    for check in faults:
        named = products(check["fix"])
        if named and check["code"].endswith("idle-cut") and lost.get(check["check"].split()[0]):
            truth = f"it drops silently, as firewalls do; {', '.join(sorted(named))} would close it"
            yield Complaint("misleading", text(check), truth)


def _words(setup: Setup, facts: Facts, report: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield texts that only a program can read, and products that are not on the way."""
    on_the_way = {PROXIES[hop.kind].name for hop in setup.hops if hop.kind != LINE}
    for check in report["checks"]:
        words = f"{check['seen']} {check['fix']}"
        if raw := RAW.search(words):
            yield Complaint("misleading", text(check), f"not for people: {raw[0]!r}")
        if strange := products(words) - on_the_way:
            names = ", ".join(sorted(strange))
            yield Complaint("wrong", text(check), f"{names} is not on the way")
    named = set(report.get("proxies") or filter(None, [report.get("proxy", "")]))
    if strange := named - on_the_way:
        yield Complaint("wrong", f"proxies: {sorted(named)}", f"on the way: {sorted(on_the_way)}")
    visible = set()
    for stream in facts.sse.values():
        signs = f"{stream.headers.get('server', '')} {stream.headers.get('via', '')}"
        visible |= products(signs)
    if report["checks"] and report.get("couldRun", True) and visible - named:
        names = ", ".join(sorted(visible - named))
        yield Complaint("misleading", f"proxies: {sorted(named)}", f"headers name {names}")


def _repeated(faults: list[Mapping[str, Any]]) -> Iterator[Complaint]:
    """Yield fixes that are printed several times for one cause."""
    seen: dict[tuple[str, ...], str] = {}
    for check in faults:
        # One time limit may cut both transports, and one buffer may hold differently over HTTP/2: then
        # two lines with one fix are right.
        transport = check["check"].split()[0]
        kind = transport if transport in ("SSE", "WebSocket") else ""
        key = (check["fix"], kind, *check["http"])
        if check["fix"] and key in seen:
            truth = f"one cause, one fix: it is under {seen[key]} too"
            yield Complaint("misleading", text(check), truth)
        seen.setdefault(key, check["check"])


def products(words: str) -> set[str]:
    """Return the products that a text names."""
    return {name for name, sign in PRODUCTS.items() if re.search(sign, words, re.IGNORECASE)}


def text(check: Mapping[str, Any]) -> str:
    """Return a line of doctor as it is printed, with its code."""
    fix = f" | fix: {check['fix']}" if check["fix"] else ""
    http = "+".join(check.get("http", ()))
    return f"{check['verdict']} {check['check']} [{check['code']} {http}] {check['seen']}{fix}"


CURED_BY: Mapping[str, str] = {
    "held": "sse-held",
    "compressed": "sse-compressed",
    "clumped": "sse-clumped",
    "cached": "sse-cached",
    "no upgrade": "ws-upgrade-removed",
    "http 1.0": "http10-upstream",
    "host": "host-rewritten",
    "forwarding": "forwarding-missing",
    "no last-event-id": "last-event-id-removed",
    "no subprotocol": "ws-subprotocol-removed",
    "no origin": "origin-",
    "sse silence": "sse-idle-cut",
    "ws silence": "ws-",
    "sse age": "age-cut",
    "ws age": "age-cut",
    "h2 streams": "streams-limited",
    "post elsewhere": "post-elsewhere",
}
"""Faults that directives for a proxy can end, and the beginning of the code that has the fix."""


def remaining(setup: Setup, facts: Facts, applied: frozenset[str]) -> list[str]:
    """Return the faults of a set-up that are still there after their fixes.

    Arguments:
        setup: the set-up before its fixes.
        facts: after its fixes.
        applied: codes of the findings whose fixes were applied.
    """
    stream, socket = facts.sse["1.1"], facts.ws["1.1"]
    period = min(setup.heartbeat_s, SSE_COMMENT_S)
    still = []
    for name in setup.fault:
        code = CURED_BY.get(name)
        if code is None or not any(one.startswith(code) for one in applied) or not _shows(name, facts):
            continue
        if name == "sse silence" and (stream.silent_cut_s or 0) > period * MARGIN:
            continue
        if name == "ws silence" and (socket.silent_cut_s or 0) > setup.heartbeat_s * MARGIN:
            continue
        still.append(name)
    return still

"""Every attack, with the rule that it checks and the figures that must hold."""

from __future__ import annotations

from functools import partial

from tests.faults import (
    bad_requests,
    bodies,
    broadcasts,
    descriptors,
    heads,
    limits,
    memory,
    posts,
    rights,
    selections,
)
from tests.faults.attack import Attack, Bound, none
from tests.faults.bystander import MAX_DELAY_MS, RECONNECT_TIMEOUT_S

DELAY = (
    Bound("delay added to others", high=MAX_DELAY_MS, unit="ms"),
    Bound("worst delay of others", unit="ms"),
)
RSS = Bound("RSS at its peak", high=10, unit="MiB")
KEPT = Bound("RSS kept", high=10, unit="MiB")
LOG = Bound("log", high=20, unit="KiB/s")
CLEAN_LOG = (
    none("tracebacks"),
    none("forged lines"),
    none("control characters in the log"),
    Bound("longest line", high=2500, unit="characters"),
)
PUBLIC = ("--public-stats",)
NAMED = ("--allow-host", "evil.example")
CPU = Bound("CPU of a request", high=5, unit="ms")
"""Requests of four attackers at once then block the loop for at most 20 ms."""
HEAD_S, BODY_S = (9.9, 11), (29.9, 31)
"""The server's clock begins up to a tenth of a second before the attacker's."""
SWALLOWED = Bound("swallowed", high=2, unit="MiB")
"""At most 1 MB that the server reads, and what the kernel's buffers of both ends take meanwhile."""
ANSWERED = Bound("answers", 4, 4)
COUNTED = Bound("counted", 1)
OTHERS = Bound("status for others", 200, 200)
NEW_CONNECTION = (
    Bound("CPU of a post", high=1, unit="ms"),
    Bound("slowest new connection", high=RECONNECT_TIMEOUT_S, unit="s"),
    none("new connections failed"),
)
"""Any flood of connections delays a new one: the kernel queues 4,096 for each worker, in order, also
those that were reset. At 1 ms each, four workers on two processors need 8 s for full queues. Other work
on the machine makes that longer; the second bound is for a queue that does not move."""


def _refused(low: float, high: float, refused: float) -> tuple[Bound, ...]:
    """Return the bounds of a limit on requests: how many it accepts, and how many it refuses."""
    return (
        Bound("accepted", low, high),
        Bound("refused", refused),
        none("refused without Retry-After"),
        none("not counted"),
    )


ATTACKS = (
    Attack(
        "heads-unfinished",
        "1",
        "60 unfinished heads of 3.8 MiB",
        partial(heads.huge, end=b""),
        (RSS, KEPT, none("open"), none("out of time")),
        in_suite=True,
    ),
    Attack(
        "heads-finished",
        "1",
        "60 requests with heads of 3.8 MiB",
        partial(heads.huge, end=b"\r\n"),
        (RSS, KEPT, none("open"), none("out of time")),
        in_suite=True,
    ),
    Attack(
        "heads-over-64-kib",
        "1",
        "40 heads of 70 KiB, on new and on reused connections",
        heads.over_limit,
        (none("answers other than 431"),),
        in_suite=True,
    ),
    Attack(
        "heads-of-streams",
        "1",
        "400 streams opened by heads of 60 KiB",
        heads.streams_with_large_heads,
        (Bound("opened", 400, 400), KEPT),
    ),
    Attack(
        "heads-slow",
        "2",
        "25 heads that are silent or drip",
        heads.slow,
        (
            Bound("first cut", *HEAD_S, "s"),
            Bound("last cut", *HEAD_S, "s"),
            Bound("answered with 408", 20, 20),
        ),
        waits=True,
    ),
    Attack(
        "idle",
        "2",
        "a connection that is idle after a request",
        partial(heads.idle, seconds=heads.IDLE_S),
        (Bound("open for", 12.5, unit="s"),),
        waits=True,
    ),
    Attack(
        "idle-to-the-end",
        "2",
        "a connection that is idle after a request",
        partial(heads.idle, seconds=heads.LONG_IDLE_S),
        (Bound("open for", 75, 77, "s"),),
        waits=True,
        only_long=True,
    ),
    Attack(
        "names-by-query",
        "3",
        "4 clients that pick 9,111 names in a request",
        selections.many_names,
        (*DELAY, CPU, none("admitted"), Bound("requests", 50)),
    ),
    Attack(
        "names-at-the-limit",
        "3",
        "requests that pick 100 and 101 names",
        selections.names_at_the_limit,
        (Bound("status of 100", 200, 200), Bound("status of 101", 400, 400)),
        in_suite=True,
    ),
    Attack(
        "names-by-control",
        "3",
        "4 clients that pick 5,500 unknown names by control messages",
        selections.control_messages,
        (*DELAY, CPU, Bound("published names", 1)),
    ),
    Attack(
        "broadcasts",
        "4",
        "one client floods /all with 60 kB texts; 100 listen",
        broadcasts.broadcasts,
        (none("listeners cut"), none("history lost")),
        in_suite=True,
    ),
    Attack(
        "rights-nginx",
        "5",
        "local rights through nginx's default",
        partial(rights.through_proxy, name="nginx.conf", arguments=()),
        (none("granted"),),
    ),
    Attack(
        "rights-haproxy",
        "5",
        "local rights through HAProxy's default, --production",
        partial(rights.through_proxy, name="haproxy.cfg", arguments=("--production",)),
        (none("granted"),),
    ),
    Attack(
        "rights-headers",
        "5",
        "local rights beside each of 24 forwarding headers",
        rights.forwarding_headers,
        (
            none("granted with a header"),
            none("granted by HTTP/1.0"),
            Bound("granted to local users", 2, 2),
        ),
        in_suite=True,
    ),
    Attack(
        "rights-production",
        "5",
        "local rights under --production without tokens",
        rights.production_without_tokens,
        (none("granted"), Bound("answers that name the setting", 2, 2)),
        in_suite=True,
    ),
    Attack(
        "descriptors-uvloop",
        "6",
        "400 silent sockets at 256 descriptors, uvloop",
        partial(descriptors.exhaust, with_uvloop=True),
        (
            none("health checks unanswered"),
            Bound("recovery", high=2, unit="s"),
            Bound("lines that report it", 1, 10),
            LOG,
            Bound("CPU", high=50, unit="%"),
        ),
    ),
    Attack(
        "descriptors-asyncio",
        "6",
        "400 silent sockets at 256 descriptors, asyncio's loop",
        partial(descriptors.exhaust, with_uvloop=False),
        (
            none("health checks unanswered"),
            Bound("recovery", high=2, unit="s"),
            Bound("lines that report it", 1, 10),
            LOG,
            Bound("CPU", high=50, unit="%"),
        ),
    ),
    Attack(
        "odd-bytes",
        "8",
        "bytes that are no text in each header, and in paths",
        bad_requests.odd_bytes,
        (none("answers 5xx"), *CLEAN_LOG, Bound("status of /healthz", 200, 200)),
    ),
    Attack(
        "drawn-requests",
        "8",
        "1,700 requests drawn over all routes, methods and headers",
        bad_requests.drawn_requests,
        (none("answers 5xx"), *CLEAN_LOG, Bound("status of /healthz", 200, 200)),
    ),
    *(
        Attack(
            f"unread-{name}",
            "9",
            f"200 clients ({transport}) that read nothing, {words}",
            partial(memory.unread, sizes=sizes, shared=shared, transport=transport),
            (Bound("RSS of a client", high=0.35, unit="MiB"), Bound("RSS", high=total, unit="MiB")),
        )
        for name, transport, words, sizes, shared, total in (
            ("10-b", "websocket", "messages of 10 B", (10,), False, 70),
            ("1-kib", "websocket", "messages of 1 KiB", (1024,), False, 70),
            ("64-kib", "websocket", "messages of 64 KiB", (65000,), False, 70),
            ("shared", "websocket", "shared messages of 64 KiB", (65000,), True, 70),
            ("mixed", "websocket", "messages of 10 B to 64 KiB", (10, 1024, 65000), False, 58),
            ("sse", "sse", "messages of 10 B to 64 KiB", (10, 1024, 65000), False, 58),
        )
    ),
    Attack(
        "unread-answers",
        "10",
        "pages asked for and never read",
        bodies.unread_answers,
        (
            Bound("connections", 10, 10),
            Bound("open for", high=42, unit="s"),
            Bound("RSS", high=10, unit="MiB"),
        ),
        waits=True,
    ),
    Attack(
        "slow-bodies",
        "10",
        "a body of a byte every half second",
        bodies.slow_bodies,
        (
            Bound("first end", *BODY_S, "s"),
            Bound("last end", *BODY_S, "s"),
            none("answers other than 408"),
        ),
        waits=True,
    ),
    Attack(
        "junk",
        "10",
        "junk after a refused POST",
        bodies.junk_after_refusal,
        (SWALLOWED, Bound("CPU", high=1, unit="s")),
        in_suite=True,
    ),
    Attack(
        "rebinding",
        "11",
        "10 requests by a foreign name to a server on loopback",
        rights.rebinding,
        (Bound("refused with 421", 10, 10),),
        in_suite=True,
    ),
    Attack(
        "rebinding-allowed",
        "11",
        "the same with --allow-host",
        partial(rights.rebinding, arguments=NAMED),
        (none("refused with 421"),),
        in_suite=True,
    ),
    Attack(
        "answers",
        "12",
        "one request of each kind of error",
        bad_requests.answers,
        (Bound("largest answer", high=1024, unit="B"), none("without an answer")),
        in_suite=True,
    ),
    *(
        Attack(
            f"log-{kind.replace(' ', '-')}",
            "12",
            f"a flood of requests with {kind}",
            partial(bad_requests.flood_of_errors, kind=kind),
            (LOG, none("silent about the rest")),
        )
        for kind in ("no HTTP", "a header without a name", "an unknown path")
    ),
    Attack(
        "log-connects",
        "12",
        "a flood of connects",
        bad_requests.flood_of_connects,
        (LOG, none("silent about the rest")),
    ),
    Attack(
        "statistics",
        "13",
        "100 requests a second for the statistics of 4 workers",
        rights.statistics,
        (Bound("CPU of a request", high=2, unit="ms"),),
    ),
    Attack(
        "strangers",
        "13",
        "metrics and plugins read by a stranger",
        rights.what_strangers_read,
        (ANSWERED, none("answers with details"), none("open to strangers")),
        in_suite=True,
    ),
    Attack(
        "strangers-public",
        "13",
        "the same with --public-stats",
        partial(rights.what_strangers_read, arguments=PUBLIC),
        (ANSWERED, Bound("open to strangers", 2, 2)),
        in_suite=True,
    ),
    Attack(
        "limit-connections",
        "7",
        "40 streams at --max-connections 20",
        partial(
            limits.open_connections,
            limit="max_connections",
            arguments=(*limits.PROXY, "--max-connections", "20"),
            number=40,
        ),
        (*_refused(20, 20, 20), Bound("status for others", 503, 503)),
        in_suite=True,
    ),
    Attack(
        "limit-address",
        "7",
        "40 streams of one address at --max-connections-per-address 20",
        partial(
            limits.open_connections,
            limit="max_connections_per_address",
            arguments=(*limits.PROXY, "--max-connections-per-address", "20"),
            number=40,
        ),
        (*_refused(20, 20, 20), OTHERS),
        in_suite=True,
    ),
    Attack(
        "limit-connects",
        "7",
        "100 connects of one address at --connects-per-address 1",
        partial(limits.connects, arguments=(*limits.PROXY, "--connects-per-address", "1"), number=100),
        (*_refused(20, 40, 60), OTHERS),
        in_suite=True,
    ),
    Attack(
        "limit-texts",
        "7",
        "200 texts at once over a WebSocket",
        limits.texts,
        (Bound("accepted", 100, 130), Bound("close code", 1008, 1008), COUNTED),
        in_suite=True,
    ),
    Attack(
        "limit-posts",
        "7",
        "200 posts of one client at once",
        limits.posts,
        (*_refused(100, 199, 1), OTHERS),
    ),
    Attack(
        "limit-tokens",
        "7",
        "40 wrong tokens of one address",
        limits.failed_tokens,
        (*_refused(5, 15, 25), OTHERS),
        in_suite=True,
    ),
    Attack(
        "limit-replays",
        "7",
        "20 clients of one address read the log again, at 0.2 MB/s",
        limits.replays,
        (
            Bound("re-read by one address", high=4, unit="MiB"),
            Bound("re-read by another", 1, unit="MiB"),
            COUNTED,
        ),
    ),
    Attack(
        "limit-broadcasts",
        "limit",
        "30 texts to everyone at once, and one of 60 kB",
        limits.broadcasts,
        (Bound("short ones heard", 1, 10), none("long ones heard"), COUNTED),
        in_suite=True,
    ),
    Attack(
        "limit-publications",
        "limit",
        "2,000 publications of one address, at 1 (100 with the token) a second",
        limits.publications,
        (*_refused(8, 15, 5), OTHERS),
        in_suite=True,
    ),
    Attack(
        "limit-pings",
        "limit",
        "5,000 pings at once over a WebSocket",
        limits.control_frames,
        (Bound("close code", 1008, 1008), COUNTED),
        in_suite=True,
    ),
    Attack(
        "pings",
        "limit",
        "pings without a pause over one connection",
        broadcasts.pings,
        (*DELAY, none("requests failed")),
    ),
    Attack(
        "probe-empty-texts",
        "limit",
        "empty texts without a pause over 8 sockets of /ws?probe=",
        broadcasts.empty_texts_to_probes,
        (*DELAY, none("requests failed")),
    ),
    Attack(
        "posts-to-nobody",
        "limit",
        "posts to unknown clients of 4 workers, reset at once",
        posts.posts_to_nobody,
        (
            Bound("posts", 500),
            none("workers killed"),
            none("listeners cut"),
            *NEW_CONNECTION,
        ),
    ),
    Attack(
        "bytes-on-a-stream",
        "limit",
        "bytes without end on an event stream",
        broadcasts.bytes_on_a_stream,
        (SWALLOWED,),
        in_suite=True,
    ),
)

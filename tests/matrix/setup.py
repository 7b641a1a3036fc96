"""What a set-up is: servers, the hops before them, and what is known about them beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Certificate = Literal["", "trusted", "expired", "other name", "self-signed", "incomplete"]
"""Certificate of a hop; empty for a hop without TLS."""
Server = Literal["rtdemo", "none", "silent"]
"""What the innermost hop connects to: rtdemo, a closed port, or a port that never answers."""


@dataclass(frozen=True)
class Hop:
    """One proxy, or one bad line, on the way to the servers.

    Arguments:
        kind: key of `proxies.PROXIES`.
        lines: directives in the place where the proxy serves the site.
        outer: directives in an outer place: nginx's `http`, HAProxy's frontend, Caddy's options.
        certificate: of the hop's TLS; empty without TLS.
        http2: whether TLS offers HTTP/2.
        options: figures of a bad line, see `line.Line`; 1 for `tcp` if the hop does not read HTTP, for
            `strips` or `keeps` if it serves only /rt/, and removes this path or keeps it, and for
            `named` if its upstream has a name.
    """

    kind: str
    lines: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()
    certificate: Certificate = ""
    http2: bool = False
    options: Mapping[str, float] = field(default_factory=dict)

    @property
    def reads_http(self) -> bool:
        """Whether it changes requests, and not only forwards bytes."""
        return self.kind not in ("line", "stunnel") and "tcp" not in self.options


@dataclass(frozen=True)
class Setup:
    """One set-up.

    Arguments:
        name: unique, in a few words.
        hops: the outermost one first.
        fault: facts that must be measured, or the set-up is not what its name says: names of
            `judge.FAULTS`. Empty for a set-up in which everything is right.
        servers: number of servers behind the innermost hop.
        server: what these are.
        redis: whether the servers share a log.
        path: below which the site is, such as `/rt`; the proxy removes it unless `keeps_path`.
        keeps_path: whether the servers see the path.
        arguments: further ones of `rtdemo serve`.
        doctor: further arguments of `rtdemo doctor`.
        headers: that every client sends, such as a password.
        idle_s: silence that is examined, in seconds.
        heartbeat_s: of rtdemo, in seconds.
        culprit: name of the proxy that causes the fault; empty where none does.
        cure: texts of which a right fix has at least one, in lower case; empty where none is judged.
    """

    name: str
    hops: tuple[Hop, ...]
    fault: tuple[str, ...] = ()
    servers: int = 1
    server: Server = "rtdemo"
    redis: bool = False
    path: str = ""
    keeps_path: bool = False
    arguments: tuple[str, ...] = ()
    doctor: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    idle_s: int = 14
    heartbeat_s: float = 10.0
    culprit: str = ""
    cure: tuple[str, ...] = ()

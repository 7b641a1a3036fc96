"""Put the directives that doctor prints between backticks into a set-up's configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.matrix.proxies import PROXIES
from tests.matrix.setup import Hop, Setup

WORDS = {"nginx": 1, "nginx-new": 1, "haproxy": 2, "apache": 1, "lighttpd": 1, "h2o": 1, "nghttpx": 1}
"""Proxies whose directives a program can add to a hop's lines, and the words of a directive's name."""
TWO_WORDS = ("proxy_set_header",)
"""Directives of nginx that one more word names."""
OUTER = ("listen", "bind", "http2 ", "server:", "limit_conn_zone", "worker_")
"""Beginnings of directives for another place."""


def apply(setup: Setup, report: Mapping[str, Any]) -> Setup | None:
    """Return a set-up with the directives of a report; None if there is nothing to apply."""
    fixes = [check["fix"] for check in report["checks"] if check["verdict"] in ("warn", "fail")]
    hops = []
    for hop in setup.hops:
        added = hop
        if hop.kind in WORDS:
            for fix in fixes:
                for directive in _directives(fix, PROXIES[hop.kind].name):
                    added = _add(added, directive)
        hops.append(added)
    if tuple(hops) == setup.hops:
        return None
    return replace(setup, hops=tuple(hops))


def difference(before: Setup, after: Setup) -> tuple[str, ...]:
    """Return the lines that a set-up has in addition to another."""
    lines = []
    for old, new in zip(before.hops, after.hops, strict=True):
        lines += [line for line in new.lines if line not in old.lines]
    return tuple(lines)


def _directives(fix: str, product: str) -> list[str]:
    """Return the texts between backticks that follow the name of a product."""
    named = [name for name in {p.name for p in PROXIES.values()} if f"{name}: " in fix]
    if product not in named:
        return []
    part = fix.split(f"{product}: ", 1)[1]
    for other in named:
        if other != product:
            part = part.split(f"{other}: ", 1)[0]
    return [text for text in re.findall(r"(?<!remove )`([^`]+)`", part) if not text.startswith("remove")]


def _add(hop: Hop, directive: str) -> Hop:
    is_nginx = hop.kind.startswith("nginx")
    parts = re.split(r"(?<=;)\s*", directive) if is_nginx else [directive]
    for part in filter(None, (part.strip() for part in parts)):
        if part.startswith(OUTER) or (is_nginx and not part.endswith(";")):
            continue
        words = part.split()
        count = 2 if words[0] in TWO_WORDS else WORDS[hop.kind]
        name = words[:count]
        kept = tuple(line for line in hop.lines if line.split()[:count] != name)
        hop = replace(hop, lines=(*kept, part))
    return hop

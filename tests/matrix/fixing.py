"""Put the directives that doctor prints between backticks into a set-up's configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tests.matrix.proxies import LINE, PROXIES
from tests.matrix.setup import Hop, Setup

NAME_WORDS = {"proxy_set_header": 2, "header_up": 2, "timeout": 2, "option": 2, "SetEnv": 2}
"""Words that name a directive, where it is not the first one alone."""
ENVOY_PARTS = {"timeout": "route", "idle_timeout": "route"}
"""Parts of Envoy's configuration by key; all others belong to the connection manager."""
VCL_PLACES = {"vcl_recv": "", "vcl_pipe": "pipe: ", "vcl_backend_fetch": "backend: "}
"""Beginnings of lines for VCL's subroutines."""
NOT_HERE = ("listen", "bind", "http2 ", "worker_", "cookie ", "ProxySet", "Protocols", "lb_policy")
"""Beginnings of directives that no set-up has a place for."""
_REMOVED_FROM = re.compile(r"remove ([\w.-]+=) from (\w+)")
_REMOVED = re.compile(r"remove ([^;,(]+)")
_ADDED = re.compile(r"add `?([\w=.-]+)`? to `?(\w+)`?")
_PLACED = re.compile(r"in (?:the )?`?(\w+)`?(?: block)?: `([^`]+)`")
_OLDER = re.compile(r"(`[^`]+`) \((?:before|until) (?:\w+ )?(\d[\d.]*): (`[^`]+`)\)")
_PLAIN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Fixed:
    """A set-up with fixes.

    Arguments:
        setup: the set-up.
        changes: lines that it has in addition, and those that it lost, with a minus before them.
        codes: of the findings whose fixes changed something.
    """

    setup: Setup
    changes: tuple[str, ...]
    codes: frozenset[str]


def apply(setup: Setup, report: Mapping[str, Any]) -> Fixed | None:
    """Return a set-up with the fixes of a report; None if a program can apply none of them."""
    hops = list(setup.hops)
    codes = set()
    for check in report["checks"]:
        if check["verdict"] not in ("warn", "fail"):
            continue
        for number, hop in enumerate(hops):
            if hop.kind == LINE:
                continue
            proxy = PROXIES[hop.kind]
            part = _for_version(_part(check["fix"], proxy.name), proxy.installed_version())
            better = _apply(hop, part)
            if _lines(better) != _lines(hop):
                hops[number] = better
                codes.add(check["code"])
    if not codes:
        return None
    fixed = replace(setup, hops=tuple(hops))
    return Fixed(fixed, _changes(setup, fixed), frozenset(codes))


def _lines(hop: Hop) -> list[str]:
    return sorted((*hop.lines, *hop.outer))


def _changes(before: Setup, after: Setup) -> tuple[str, ...]:
    found: list[str] = []
    for old, new in zip(before.hops, after.hops, strict=True):
        was, now = (*old.lines, *old.outer), (*new.lines, *new.outer)
        found += [line for line in now if line not in was]
        found += [f"- {line}" for line in was if line not in now]
    return tuple(found)


def _part(fix: str, product: str) -> str:
    """Return the part of a fix that is for a product: from its name to the next one's."""
    names = "|".join(sorted({re.escape(proxy.name) for proxy in PROXIES.values()}))
    parts = re.split(rf"(?:^|(?<=; )|(?<=: ))({names}): ", fix)
    return next((parts[i + 1] for i in range(1, len(parts), 2) if parts[i] == product), "")


def _for_version(part: str, installed: str) -> str:
    """Return a fix with the directive for the installed version where it has two."""

    def chosen(match: re.Match[str]) -> str:
        return match[3] if _numbers(installed) < _numbers(match[2]) else match[1]

    return _OLDER.sub(chosen, part)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _apply(hop: Hop, part: str) -> Hop:
    for match in _REMOVED_FROM.finditer(part):
        hop = replace(hop, lines=tuple(_without_word(line, match[1], match[2]) for line in hop.lines))
    part = _REMOVED_FROM.sub("", part)
    for match in _REMOVED.finditer(part):
        for text in re.split(" and | or ", match[1]):
            hop = _without(hop, text.strip(" `"))
    part = _REMOVED.sub("", part)
    for match in _ADDED.finditer(part):
        lines = tuple(
            f"{line} {match[1]}" if line.startswith(match[2]) and match[1] not in line else line
            for line in hop.lines
        )
        hop = replace(hop, lines=lines)
    part = _ADDED.sub("", part)
    for match in _PLACED.finditer(part):
        hop = _placed(hop, match[1], match[2])
    for text in _PLAIN.findall(_PLACED.sub("", part)):
        hop = _with(hop, text)
    return hop


def _without(hop: Hop, text: str) -> Hop:
    """Return a hop without the lines that begin with a text; for Envoy, those that contain it."""

    def stays(line: str) -> bool:
        return text not in line if hop.kind == "envoy" else not line.startswith(text)

    return replace(hop, lines=tuple(filter(stays, hop.lines)), outer=tuple(filter(stays, hop.outer)))


def _without_word(line: str, beginning: str, directive: str) -> str:
    """Return a line of a directive without the words that begin with a text."""
    if not line.startswith(directive):
        return line
    return " ".join(word for word in line.split(" ") if not word.startswith(beginning))


def _placed(hop: Hop, place: str, text: str) -> Hop:
    if hop.kind == "varnish" and place in VCL_PLACES:
        return replace(hop, lines=(*hop.lines, VCL_PLACES[place] + text))
    if hop.kind.startswith("nginx") and place in ("upstream", "http", "server"):
        prefix = "" if place == "http" else f"{place}: "
        name = text.split()[0]
        kept = tuple(line for line in hop.outer if name not in line.split()[:2])
        return replace(hop, outer=(*kept, prefix + text))
    return hop


def _with(hop: Hop, directive: str) -> Hop:
    """Return a hop with a directive, in the place of one of the same name."""
    if hop.kind == "envoy":
        return _with_envoy(hop, directive)
    is_nginx = hop.kind.startswith("nginx")
    for part in re.split(r"(?<=;)\s*", directive) if is_nginx else [directive]:
        text = part.strip()
        if not text or text.startswith(NOT_HERE) or (is_nginx and not text.endswith(";")):
            continue
        if hop.kind == "haproxy" and text.startswith("tune."):
            hop = replace(hop, outer=(*_other(hop.outer, text, 1), f"global: {text}"))
            continue
        count = NAME_WORDS.get(text.split()[0], 1)
        if text.startswith("-p "):  # a parameter of Varnish
            kept = tuple(line for line in hop.lines if line.split("=")[0] != text.split("=")[0])
        elif hop.kind in ("h2o", "nghttpx"):
            kept = tuple(
                line for line in hop.lines if re.split("[:=]", line)[0] != re.split("[:=]", text)[0]
            )
        else:
            kept = tuple(line for line in hop.lines if line.split()[:count] != text.split()[:count])
        hop = replace(hop, lines=(*kept, text))
    return hop


def _other(lines: tuple[str, ...], text: str, count: int) -> tuple[str, ...]:
    name = text.split()[:count]
    return tuple(line for line in lines if line.partition(": ")[2].split()[:count] != name)


def _with_envoy(hop: Hop, directive: str) -> Hop:
    try:
        parsed = yaml.safe_load(directive)
    except yaml.YAMLError:
        return hop
    if not isinstance(parsed, dict):
        return hop
    lines = hop.lines
    for key, value in parsed.items():
        name = f"{ENVOY_PARTS.get(key, 'manager')}.{key}"
        kept = tuple(line for line in lines if not line.startswith(f"{name}="))
        lines = (*kept, f"{name}={json.dumps(value)}")
    return replace(hop, lines=lines)

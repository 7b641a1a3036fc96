"""Proxy configurations for tests of `rtdemo doctor`, and how its fixes are put into them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.process import Process
from tests.cluster.proxies import DEPLOY
from tests.free_port import free_port
from tests.system_packages import HAPROXY, NGINX, Program, require

SETUPS = Path(__file__).parent / "setups"
DEPLOYED = {"haproxy_well_set.cfg": DEPLOY / "haproxy.cfg"}


def program(setup: str) -> Program:
    """Return the program that a configuration file is for."""
    return NGINX if setup.endswith(".conf") else HAPROXY


def proxy(folder: Path, name: str, server: int, directives: list[str]) -> Process:
    """Return a proxy in front of a server, with a configuration file and further directives.

    Arguments:
        folder: an existing folder for its files.
        name: of a configuration file in setups/.
        server: port of rtdemo.
        directives: as doctor prints them; each replaces one of the same name.
    """
    port = free_port()
    text = DEPLOYED.get(name, SETUPS / name).read_text()
    text = text.replace("0.0.0.0:8080", f"127.0.0.1:{port}").replace(
        "127.0.0.1:PORT", f"127.0.0.1:{port}"
    )
    text = re.sub(r"127\.0\.0\.1:(SERVER|3000|3002)\b", f"127.0.0.1:{server}", text)
    text = text.replace("FOLDER", str(folder))
    is_nginx = program(name) is NGINX
    config = folder / name
    config.write_text((_add_to_nginx if is_nginx else _add_to_haproxy)(text, directives))
    binary = require(program(name))
    if is_nginx:
        command = [binary, "-c", str(config), "-p", str(folder)]
    else:
        command = [binary, "-db", "-f", str(config)]
    return Process(command, port, folder / "log")


def directives(fix: str) -> list[str]:
    """Return the directives in a fix: the texts between backticks."""
    return re.findall(r"`([^`]+)`", fix)


def _add_to_nginx(text: str, directives: list[str]) -> str:
    for statement in (
        part.strip() for directive in directives for part in directive.split(";") if part.strip()
    ):
        words = statement.split()
        name = " ".join(words[: 2 if words[0] == "proxy_set_header" else 1])
        location = text.index("location / {")
        inside = re.sub(rf"(?m)^ *{name} .*;\n", "", text[location:])
        text = text[:location] + inside.replace("{\n", f"{{\n            {statement};\n", 1)
    return text


def _add_to_haproxy(text: str, directives: list[str]) -> str:
    for line in directives:
        name = " ".join(line.split()[:2])
        text = re.sub(rf"(?m)^ *{name}\b.*\n", "", text)
        text = text.replace("    mode http\n", f"    mode http\n    {line}\n", 1)
    return text

"""The set-ups that `rtdemo doctor` is tried on, and what its fixes make of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster.process import Process
from tests.cluster.proxies import DEPLOY
from tests.redis_server import free_port
from tests.system_packages import HAPROXY, NGINX, Program, require

SETUPS = Path(__file__).parent / "setups"
DEPLOYED = {"haproxy_well_set.cfg": DEPLOY / "haproxy.cfg"}


def program(setup: str) -> Program:
    """Return the program that a file in setups/ sets up."""
    return NGINX if setup.endswith(".conf") else HAPROXY


def proxy(folder: Path, name: str, server: int, directives: list[str]) -> Process:
    """Return a proxy in front of a server, set up as a file says and then by directives.

    Arguments:
        folder: for what it writes; it has to exist.
        name: of a file in setups/.
        server: the port of rtdemo.
        directives: as doctor prints them, each in the place of one of the same name.
    """
    port = free_port()
    text = DEPLOYED.get(name, SETUPS / name).read_text()
    text = text.replace("0.0.0.0:8080", f"127.0.0.1:{port}").replace(
        "127.0.0.1:PORT", f"127.0.0.1:{port}"
    )
    text = re.sub(r"127\.0\.0\.1:(SERVER|3000|3002)", f"127.0.0.1:{server}", text)
    text = text.replace("FOLDER", str(folder))
    is_nginx = program(name) is NGINX
    config = folder / name
    config.write_text((_into_nginx if is_nginx else _into_haproxy)(text, directives))
    binary = require(program(name))
    if is_nginx:
        command = [binary, "-c", str(config), "-p", str(folder)]
    else:
        command = [binary, "-db", "-f", str(config)]
    return Process(command, port, folder / "log")


def directives(fix: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", fix)


def _into_nginx(text: str, given: list[str]) -> str:
    for statement in (part.strip() for one in given for part in one.split(";") if part.strip()):
        words = statement.split()
        name = " ".join(words[: 2 if words[0] == "proxy_set_header" else 1])
        location = text.index("location / {")
        inside = re.sub(rf"(?m)^ *{name} .*;\n", "", text[location:])
        text = text[:location] + inside.replace("{\n", f"{{\n            {statement};\n", 1)
    return text


def _into_haproxy(text: str, given: list[str]) -> str:
    for line in given:
        name = " ".join(line.split()[:2])
        text = re.sub(rf"(?m)^ *{name}\b.*\n", "", text)
        text = text.replace("    mode http\n", f"    mode http\n    {line}\n", 1)
    return text

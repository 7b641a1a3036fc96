"""The files under test, read once for each test that asks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.run_dockerfile.dockerfile import ImageConfig, Stage, image_config, parse

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/monitoring/grafana/rtdemo.json"


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def stages() -> list[Stage]:
    return parse(dockerfile())


def image() -> ImageConfig:
    """Return the settings of the image."""
    return image_config(stages()[-1], stages(), {"PATH": "/usr/bin"})


def compose() -> dict[str, Any]:
    """Return compose.yaml with `${NAME:-default}` as its default."""
    read: dict[str, Any] = _with_defaults(yaml.safe_load((ROOT / "compose.yaml").read_text()))
    return read


def _with_defaults(node: Any) -> Any:
    # As Compose does, after YAML was read: a default that is empty is a text, not null.
    match node:
        case dict():
            return {key: _with_defaults(value) for key, value in node.items()}
        case list():
            return [_with_defaults(value) for value in node]
        case str():
            return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", node)
    return node


def served_variables() -> dict[str, str]:
    """Return the variables that `rtdemo serve --help` lists, each with the default that it names."""
    return dict(re.findall(r"\[([A-Z_]+)\] ?((?:Default: \S+)?)", _help()))


def served_flags() -> set[str]:
    """Return the flags that `rtdemo serve --help` lists."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", _help()))


@cache
def _help() -> str:
    command = [sys.executable, "-m", "rtdemo", "serve", "--help"]
    environ = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environ)
    return " ".join(shown.stdout.split())

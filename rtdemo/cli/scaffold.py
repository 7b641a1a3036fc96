"""Write the package of a new plugin, with a test and a README, for `rtdemo plugins new`."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from rtdemo import __version__
from rtdemo.errors import RtdemoError
from rtdemo.settings.folders import bundled

NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
MAX_NAME_LENGTH = 40
RESERVED_NAMES = {"option", "producer", "randrange", "rtdemo", "str", "int"}
"""Names that the new module uses itself."""


class ScaffoldError(RtdemoError):
    """The name is not allowed, or the folder cannot be written."""

    exit_code = 2


_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "rtdemo-$name"
version = "0.1.0"
description = "A plugin for rtdemo: $name."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["rtdemo>=$version"]

[project.optional-dependencies]
test = ["pytest", "pytest-asyncio"]

[project.entry-points.rtdemo]
$name = "$module"

[tool.setuptools]
py-modules = ["$module"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
asyncio_default_fixture_loop_scope = "function"
"""

_MODULE = '''\
"""Send $name: a random number, once a second."""

from random import randrange

from rtdemo import Option, producer

# The environment variable $variable sets it.
HIGHEST = Option(int, 100, "Highest number to send.")


@producer(every=1$named)
def $function() -> str:
    return f"$name: {randrange(HIGHEST.value + 1)}"
'''

_TEST = '''\
"""Tests of the plugin $name."""

import pytest

import $module
from rtdemo.testing import run_producer


def test_one_message_per_second():
    sent = run_producer($module.$function, seconds=60)
    assert len(sent) == 60
    assert sent[0].sent_at == 1000
    assert all(text.startswith("$name: ") for text in sent.texts)


@pytest.mark.asyncio
@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_messages_reach_a_client(rtdemo_server, transport):
    async with rtdemo_server($module) as server:
        client = await server.connect(transport)
        await server.advance(2)
        assert [message.producer for message in client.take()] == ["$name"] * 2
'''

_README = """\
# rtdemo-$name

A plugin for [rtdemo](https://pypi.org/project/rtdemo/). It sends a random number once a second.

    pip install -e '.[test]'
    pytest
    rtdemo plugins check .
    rtdemo serve

| setting | default | what |
|---|---|---|
| `$variable` | 100 | Highest number to send. |
"""


def create(name: str, parent: Path) -> Path:
    """Write the package to the folder `rtdemo-NAME`; return this folder.

    Arguments:
        name: name of the plugin and its producer: lower-case letters and digits, with hyphens between.
        parent: the folder in which to make it.

    Raises:
        ScaffoldError: if the name is not allowed, or the folder exists or cannot be written.
    """
    _check(name)
    folder = parent / f"rtdemo-{name}"
    function = name.replace("-", "_")
    module = f"rtdemo_{function}"
    words = {"name": name, "function": function, "module": module, "version": __version__}
    # A hyphen is allowed in the name of a producer, but not of a function.
    words["named"] = f', name="{name}"' if "-" in name else ""
    words["variable"] = f"RTDEMO_{function.upper()}_HIGHEST"
    try:
        folder.mkdir()
        (folder / "tests").mkdir()
    except FileExistsError as error:
        raise ScaffoldError(f"{folder} exists; choose another name, or move the folder away") from error
    except OSError as error:
        raise ScaffoldError(f"cannot write {folder}: {(error.strerror or '').lower()}") from error
    files = {
        "pyproject.toml": _PYPROJECT,
        f"{module}.py": _MODULE,
        f"tests/test_{function}.py": _TEST,
        "README.md": _README,
    }
    for path, text in files.items():
        (folder / path).write_text(Template(text).substitute(words))
    return folder


def _check(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise ScaffoldError(
            f"{name[:100]!r} is not allowed as a plugin's name; give lower-case letters and digits, "
            f"with hyphens between, at most {MAX_NAME_LENGTH} characters"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in RESERVED_NAMES:
        raise ScaffoldError(f"{name!r} has a meaning in Python or rtdemo; give another name")
    if (bundled("plugins") / f"{name}.py").is_file():
        raise ScaffoldError(f"{name!r} is a built-in plugin; give another name")

"""The Dockerfile keeps its rules, and starts what the Procfile starts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from deploy.run_dockerfile.build_context import BuildContext
from deploy.run_dockerfile.dockerfile import copy_words, parse
from tests.cluster.process import Process
from tests.deploy.files import ROOT, dockerfile, image, served_variables, stages
from tests.deploy.rules import broken_by_image
from tests.free_port import free_port
from tests.raw_server import raw_server


def test_image_keeps_its_rules() -> None:
    """It runs without root, without a shell, and with a health check."""
    assert broken_by_image(stages()) == []


@pytest.mark.parametrize(
    ("written", "instead", "rule"),
    [
        ("USER 10001:10001", "USER root", "USER root: it must be a number other than 0"),
        ("USER 10001:10001", "USER 0", "USER 0: it must be a number other than 0"),
        ("USER 10001:10001", "", "USER root: it must be a number other than 0"),
        ('["--single-site", "--production"]', "rtdemo", "CMD is not in exec form"),
        ('["python", "-m", "rtdemo"]', "python -m rtdemo", "ENTRYPOINT is not in exec form"),
        ('["python", "/opt/rtdemo/healthcheck.py"]', "true", "there is no HEALTHCHECK in exec form"),
        ("EXPOSE 3000", "", "there is no EXPOSE"),
    ],
)
def test_broken_rule_is_found(written: str, instead: str, rule: str) -> None:
    """Each rule fails where the Dockerfile breaks it."""
    assert dockerfile().count(written) == 1
    assert broken_by_image(parse(dockerfile().replace(written, instead))) == [rule]


def test_it_starts_what_the_procfile_starts() -> None:
    """A Procfile host runs the container's command, and trusts its own router besides."""
    command, _, router = (ROOT / "Procfile").read_text().strip().partition(" --trusted-proxies ")
    assert command == f"web: {' '.join(image().command)}"
    assert router == '"${RTDEMO_TRUSTED_PROXIES:-1}"'


def test_every_stage_has_the_one_base_image_that_an_argument_names() -> None:
    """PYTHON_IMAGE pins the base by digest, for the build and for the image alike."""
    pinned = f"python:3.11-slim@sha256:{'0' * 64}"
    assert {stage.base for stage in parse(dockerfile(), {"PYTHON_IMAGE": pinned})} == {pinned}
    version = (ROOT / ".python-version").read_text().strip()
    assert {stage.base for stage in stages()} == {f"python:{version}-slim"}


def test_exposed_port_and_variables_are_the_programs_own() -> None:
    """The port is the default of PORT; the environment sets Python, not the server."""
    assert [f"Default: {port}." for port in image().ports] == [served_variables()["PORT"]]
    assert set(image().environ) == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def test_requirements_are_installed_with_hashes_and_without_a_compiler() -> None:
    """The lock decides every file that is installed."""
    commands = [i.text for stage in stages() for i in stage.instructions if i.keyword == "RUN"]
    (requirements,) = (text for text in commands if "-r requirements.txt" in text)
    assert "--require-hashes" in requirements
    assert "--only-binary :all:" in requirements


def test_context_has_what_is_copied_and_no_secret() -> None:
    """Every COPY finds its source; .env, .git and .venv are not in the context."""
    context = BuildContext(ROOT)
    copies = [copy_words(i) for stage in stages() for i in stage.instructions if i.keyword == "COPY"]
    sources = [source for stage, names, _ in copies if stage is None for source in names]
    wanted = {file for source in sources for file in context.under(source)}
    assert set(context.files) == wanted
    unwanted = (
        ".env",
        ".git/config",
        ".venv/bin/python",
        "tests/conftest.py",
        "rtdemo/a/__pycache__/b.pyc",
    )
    assert [name for name in unwanted if not context.ignores(PurePosixPath(name))] == []


async def test_container_command_is_healthy_and_ends_on_sigterm(tmp_path: Path) -> None:
    """The health check fails before the start and passes while it serves; SIGTERM ends it with 0."""
    check = image().healthcheck
    assert check is not None
    assert check.command == ("python", "/opt/rtdemo/healthcheck.py")
    port = free_port()
    environ = {"HOST": "127.0.0.1", "PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    code, reason = await checked(environ)
    assert code == 1
    assert f"no answer from 127.0.0.1:{port}" in reason

    command = [sys.executable, *image().command[1:]]
    server = Process(command, port, tmp_path / "server.log", environ)
    await server.start()
    try:
        assert await checked(environ) == (0, "")
        assert await server.stop() == 0
    finally:
        await server.kill()


async def test_health_check_reports_a_status_that_is_not_200() -> None:
    """Another program that answers on the port is not a healthy server."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(refuse) as port:
        code, reason = await checked({"HOST": "", "PORT": str(port)})
    assert (code, reason) == (1, f"127.0.0.1:{port} answered /healthz with 404\n")


async def checked(environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Run the image's health check; return its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "deploy/healthcheck.py")),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()

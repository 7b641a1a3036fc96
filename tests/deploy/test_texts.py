"""What the texts about deploying name exists: files, flags, variables."""

from __future__ import annotations

import re

import pytest

from tests.deploy.files import ROOT, compose, served_flags, served_variables

TEXTS = ("docs/security.md", "docs/deploy.md", "deploy/README.md")
OTHER_FLAGS = {
    # of docker and docker compose
    *("--build", "--build-arg", "--cap-drop", "--profile", "--read-only", "--rm", "--security-opt"),
    "--tmpfs",
    # of heroku, kubectl, systemctl and Caddy
    *("--config", "--from-literal", "--now", "--replicas"),
    # of `rtdemo publish` and `make deploy`
    *("--clients", "--only", "--to"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_linked_file_exists(name: str) -> None:
    """Every link is to a file of the project."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert links
    for link in links:
        assert ((ROOT / name).parent / link).exists(), link


@pytest.mark.parametrize("name", TEXTS)
def test_flag_and_variable_exist(name: str) -> None:
    """Every flag and variable is one of `rtdemo serve`, or of a program that is named above."""
    text = (ROOT / name).read_text()
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert flags <= served_flags() | OTHER_FLAGS
    assert set(re.findall(r"\bRTDEMO_[A-Z_]+\b", text)) <= served_variables().keys()


@pytest.mark.parametrize("name", TEXTS)
def test_no_token_can_be_copied(name: str) -> None:
    """A token in a text would be that of everyone who copies the line: each block makes its own."""
    text = (ROOT / name).read_text()
    given = re.findall(r"(?i)(?:token|credentials)(?:=|: )(\S+)", text)
    assert [word for word in given if not word.startswith(("$(openssl", "...", "`"))] == []


def test_variables_of_compose_are_those_that_its_text_lists() -> None:
    """docs/deploy.md names each variable that compose.yaml takes from outside."""
    taken = set(re.findall(r"\$\{(\w+):-", (ROOT / "compose.yaml").read_text()))
    assert taken == {"PORT", *compose()["services"]["server"]["environment"]}
    text = (ROOT / "docs/deploy.md").read_text()
    assert [name for name in taken if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "deploy").iterdir()))
def test_every_file_is_in_the_table(name: str) -> None:
    """A new file in deploy/ gets its line."""
    text = (ROOT / "deploy/README.md").read_text()
    assert name in ("README.md", "__pycache__") or f"[{name}" in text

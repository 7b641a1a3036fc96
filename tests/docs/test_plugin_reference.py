"""The reference of plugins is whole: each hook, argument, field, figure and example is in it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re

import msgspec
import pytest

from rtdemo import Client, Message, Option, Producer, Reason, Secret
from rtdemo.plugin_system import hookspecs
from rtdemo.plugin_system import supervisor as supervising
from rtdemo.plugin_system.isolation import MAX_QUEUED_JOBS
from rtdemo.plugin_system.options import declared
from rtdemo.plugin_system.producer import Traits
from rtdemo.plugin_system.producer_registry import MAX_PRODUCERS
from rtdemo.timing.backoff import FIRST_RETRY_S, MAX_RETRY_S
from tests.docs.markdown import ROOT, blocks, section, table

REFERENCE = "docs/plugin-reference.md"
HOOKS = [name for name, thing in vars(hookspecs).items() if hasattr(thing, "rtdemo_spec")]
PROGRAMS = ("token_stream",)
"""Examples that are no plugin."""
EXAMPLES = sorted({path.stem for path in (ROOT / "examples").glob("*.py")} - {*PROGRAMS})


def test_there_are_hooks_and_examples_to_look_at() -> None:
    """Else the tests below would test nothing."""
    assert {"producers", "receive"} <= set(HOOKS)
    assert "tail_file" in EXAMPLES


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_is_specified_documented_and_tested(hook: str) -> None:
    """One line of docstring, a section of the reference that begins with it, and a test's own hook."""
    function = getattr(hookspecs, hook)
    sentence = inspect.getdoc(function) or ""
    assert sentence
    assert "\n" not in sentence
    arguments = ", ".join(inspect.signature(function).parameters)
    about = section(REFERENCE, f"{hook}({arguments})")
    assert " ".join(about.split()).startswith(sentence.removesuffix("."))
    implementation = re.compile(rf"@hookimpl(\\n|\s)+(async )?def {hook}\(")
    tests = (ROOT / "tests").rglob("test_*.py")
    assert any(implementation.search(path.read_text(encoding="utf-8")) for path in tests)


def test_every_keyword_of_a_producer_is_documented() -> None:
    """With its default; and nothing that is none."""
    rows = table(section(REFERENCE, "Producers"))
    fields = {field.name: field.default for field in dataclasses.fields(Producer) if field.init}
    fields |= {name: '""' for name, default in fields.items() if default == ""}
    assert set(rows) == set(fields)
    assert set(Traits.__annotations__) == set(fields) - {"function"}
    plain = {name: str(default) for name, default in fields.items() if f"`{default}`" in rows[name][0]}
    assert set(plain) == set(fields) - {"name", "function", "transports"}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Client", {name for name in dir(Client) if not name.startswith("_")}),
        ("Message", {field.name for field in msgspec.structs.fields(Message)}),
        ("Reasons", {reason.name for reason in Reason}),
        (
            "Settings of a plugin",
            {*list(inspect.signature(Option).parameters), "reveal()", "bool(secret)", "str(secret)"},
        ),
    ],
)
def test_everything_that_a_plugin_imports_is_documented(heading: str, names: set[str]) -> None:
    """Each attribute has its row, and nothing that is none."""
    assert set(table(section(REFERENCE, heading))) == names


def test_figures_are_those_of_the_code() -> None:
    """Codes, sentences, limits and states."""
    rows = table(section(REFERENCE, "Reasons"))
    assert rows == {reason.name: [str(reason.code), reason.text] for reason in Reason}
    assert str(Secret("x")) == repr(Secret("x")) == "Secret(***)"
    about = section(REFERENCE, "Supervision")
    first, last = FIRST_RETRY_S, MAX_RETRY_S
    assert f"put off by {first:g} second," in about
    assert f"up to {last:g} seconds" in about
    assert f"failed {supervising.FAILURES_TO_DISABLE} times in a row" in about
    assert f"over {supervising.MAX_STEP_S * 1000:g} ms" in about
    assert {"running", "backing off", "failed", "disabled"} <= set(table(about))
    assert supervising.THREADS_PER_PRODUCER == 4
    assert f"up to {MAX_QUEUED_JOBS} wait" in section(REFERENCE, "Producers")
    assert f"may be {MAX_PRODUCERS} in all" in section(REFERENCE, "producers(client)")


def test_examples_are_shown_as_they_are() -> None:
    """Each file whole, in docs/examples.md; where this fails, copy the file there."""
    shown = {block.name: block.text for block in blocks("docs/examples.md", "python")}
    files = [ROOT / "examples" / f"{name}.py" for name in EXAMPLES]
    heads = [f"# examples/{file.name}\n" for file in files]
    expected = [head + file.read_text(encoding="utf-8") for head, file in zip(heads, files, strict=True)]
    assert sorted(shown.values()) == expected


@pytest.mark.parametrize("name", EXAMPLES)
def test_settings_of_an_example_are_documented(name: str) -> None:
    """Each with its variable and its help."""
    options = declared(importlib.import_module(f"examples.{name}"))
    expected = {f"RTDEMO_{name.upper()}_{n}": option.help for n, option in options.items()}
    assert {n: cells[1] for n, cells in table(section("docs/examples.md", name)).items()} == expected

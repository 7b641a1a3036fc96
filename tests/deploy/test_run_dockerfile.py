"""What executes the Dockerfile reads it as Docker does, and reports in one line what it cannot do."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner

from deploy.run_dockerfile import __main__ as program
from deploy.run_dockerfile import clean_root
from deploy.run_dockerfile.__main__ import main
from deploy.run_dockerfile.build_context import BuildContext
from deploy.run_dockerfile.clean_root import Root
from deploy.run_dockerfile.dockerfile import (
    DockerfileError,
    Healthcheck,
    ImageConfig,
    Instruction,
    copy_words,
    image_config,
    parse,
)
from deploy.run_dockerfile.errors import StepError

TEXT = """
ARG BASE=debian
FROM ${BASE} AS first
ENV A=1 B="two words"
WORKDIR /srv
RUN one \\
    two
FROM first
ENV PATH=/opt/bin:$PATH C=${B}
WORKDIR app
HEALTHCHECK --interval=1m --timeout=500ms --retries=2 CMD ["check"]
CMD dropped by the entry point
ENTRYPOINT ["serve"]
CMD ["--quiet"]
"""


def test_stages_and_settings_are_read() -> None:
    """Arguments, continued lines, a stage on a stage, variables, durations, and CMD after ENTRYPOINT."""
    stages = parse(TEXT)
    assert [(stage.name, stage.base) for stage in stages] == [("first", "debian"), ("1", "first")]
    run = stages[0].instructions[-1]
    assert (run.keyword, run.line, run.text.split()) == ("RUN", 6, ["one", "two"])
    config = image_config(stages[1], stages, {"PATH": "/bin"})
    assert config.environ == {"A": "1", "B": "two words", "C": "two words", "PATH": "/opt/bin:/bin"}
    assert config.workdir == "/srv/app"
    assert config.command == ("serve", "--quiet")
    assert config.healthcheck == Healthcheck(("check",), 60.0, 0.5, 0.0, 2)


def test_build_arguments_replace_defaults() -> None:
    """An argument that the file does not have is an error, as it is for Docker."""
    assert parse(TEXT, {"BASE": "alpine"})[0].base == "alpine"
    with pytest.raises(DockerfileError, match="no ARG OTHER"):
        parse(TEXT, {"OTHER": "x"})


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("VOLUME /data", "line 2: VOLUME /data: not supported here"),
        ("ENV A 1", "line 2: ENV A 1: not supported here"),
        ("HEALTHCHECK --interval=soon CMD x", "'soon' is no duration"),
        ("FROM --platform=arm64 debian", "not supported here"),
    ],
)
def test_instruction_that_is_not_covered_is_an_error(line: str, error: str) -> None:
    """Nothing is left out silently."""
    with pytest.raises(DockerfileError, match=error):
        image_config((stages := parse(f"FROM debian\n{line}\n"))[-1], stages)


def test_copy_with_another_option_or_a_wildcard_is_an_error() -> None:
    """Only --from is covered."""
    assert copy_words(Instruction("COPY", "--from=a /b /c", 1)) == ("a", ["/b"], "/c")
    for text in ("--chmod=755 a b", "*.py b", "a"):
        with pytest.raises(DockerfileError):
            copy_words(Instruction("COPY", text, 1))
    assert ImageConfig(workdir="/src").path("./") == "/src"


def test_last_matching_rule_of_dockerignore_decides(tmp_path: Path) -> None:
    """A folder that is left out can keep one file; `**/` is at any depth, `*` within one name."""
    for name in (
        "keep/a.py",
        "keep/deep/b.txt",
        "out/wanted",
        "out/other",
        ".env",
        "keep/deep/__cache__/c",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("# all\n*\n!keep\n!out/wanted\n**/__cache__\nkeep/?.py\n")
    context = BuildContext(tmp_path)
    assert [str(file) for file in context.files] == ["keep/deep/b.txt", "out/wanted"]
    assert context.under("keep") == [PurePosixPath("keep/deep/b.txt")]
    with pytest.raises(FileNotFoundError, match=r"\.env is not in the build context"):
        context.under(".env")


def test_without_dockerignore_everything_is_in_the_context(tmp_path: Path) -> None:
    """As for Docker."""
    (tmp_path / "file").touch()
    assert BuildContext(tmp_path).under("file") == [PurePosixPath("file")]


def test_image_that_grew_too_much_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps add to the base has a bound; the base itself does not count."""
    base, image = tmp_path / "base", tmp_path / "image"
    for folder in (base, image):
        folder.mkdir()
        (folder / "of_the_base").write_bytes(b"x" * 500_000)
    (image / "opt").mkdir()
    (image / "opt/added").write_bytes(b"x" * 200_000)
    monkeypatch.setattr(program, "MAX_ADDED_MB", 0.2)
    program._inspect(Root(image), ImageConfig(), base)
    monkeypatch.setattr(program, "MAX_ADDED_MB", 0.1)
    with pytest.raises(StepError, match=r"the steps add 0\.2 MB, more than 0\.1 MB"):
        program._inspect(Root(image), ImageConfig(), base)


def test_layer_has_what_the_base_lacks_and_is_compressed(tmp_path: Path) -> None:
    """A link counts as a link: an environment has some to programs of the base."""
    base, image = tmp_path / "base", tmp_path / "image"
    for folder in (base, image):
        folder.mkdir()
        (folder / "program").write_bytes(os.urandom(100_000))
    (image / "link").symlink_to("program")
    (image / "noise").write_bytes(os.urandom(100_000))
    (image / "zeros").write_bytes(bytes(100_000))
    size_mb, compressed_mb = Root(image).layer_mb(base)
    assert size_mb == pytest.approx(0.2, rel=0.01)
    assert compressed_mb == pytest.approx(0.1, rel=0.05)


def test_without_root_one_line_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, and what is missing."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(main, [])
    line = "run_dockerfile needs root, for chroot and mount; run it with sudo\n"
    assert (result.exit_code, result.output) == (2, line)


def test_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line can be pasted."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("shutil.which", lambda name, path: None if name == "debootstrap" else path)
    assert clean_root.missing() == "needs more programs; on Debian: apt-get install debootstrap"

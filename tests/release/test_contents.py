"""The rule for the contents of a release finds what is missing and what is too much."""

from __future__ import annotations

from tests.release.contents import sdist_problems, size_problems, wheel_problems

FILES = {
    *("rtdemo/a.py", "rtdemo/web/static/a.js", "plugins/echo.py", "templates/index.html"),
    "tests/test_a.py",
}
WHEEL = {
    *("rtdemo/a.py", "rtdemo/web/static/a.js", "rtdemo/plugins/echo.py", "rtdemo/templates/index.html"),
    *("rtdemo-1.0.dist-info/METADATA", "rtdemo-1.0.dist-info/licenses/LICENSE"),
}


def test_complete_wheel_has_no_problem() -> None:
    """The package with its plugins and templates, and its metadata."""
    assert wheel_problems(WHEEL, FILES) == []


def test_missing_file_is_named() -> None:
    """A script that setup.cfg omits would be missing from the page."""
    assert wheel_problems(WHEEL - {"rtdemo/web/static/a.js"}, FILES) == [
        "wheel: rtdemo/web/static/a.js is missing"
    ]
    assert sdist_problems(FILES - {"tests/test_a.py"}, FILES) == ["sdist: tests/test_a.py is missing"]


def test_file_too_much_is_named() -> None:
    """A cache or a secret of the machine that built it."""
    assert wheel_problems(WHEEL | {"rtdemo/.env"}, FILES) == ["wheel: rtdemo/.env should not be there"]
    assert sdist_problems(FILES | {".env"}, FILES) == ["sdist: .env should not be there"]


def test_what_the_build_adds_is_no_problem() -> None:
    """The build writes its metadata into the sdist; a checkout's own files stay out."""
    assert sdist_problems(FILES | {"PKG-INFO", "rtdemo.egg-info/SOURCES.txt"}, FILES | {".ci/run"}) == []


def test_archive_that_grew_too_much_is_named() -> None:
    """A picture or a build of something else would make it several times as large."""
    assert size_problems("rtdemo-1.0-py3-none-any.whl", 1_000_000) == []
    assert size_problems("rtdemo-1.0-py3-none-any.whl", 1_002_000) == [
        "rtdemo-1.0-py3-none-any.whl: 1,002 KB, more than 1,000 KB"
    ]
    assert size_problems("rtdemo-1.0.tar.gz", 2_500_000) == []
    assert size_problems("rtdemo-1.0.tar.gz", 2_502_000) != []

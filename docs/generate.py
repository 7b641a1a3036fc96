"""Write the parts of the documentation that the code declares: `make docs`."""

from __future__ import annotations

from pathlib import Path

from rtdemo.settings.settings import reference

HEAD = """# Settings

A flag wins over the environment, the environment over a `.env` file in the working directory, and that
over the default. A value that is not allowed ends the start with one line and exit code 2. Of a `bool`
flag there is also the opposite, such as `--no-single-site`.

"""


def main() -> None:
    """Write docs/settings.md."""
    (Path(__file__).parent / "settings.md").write_text(HEAD + reference())


if __name__ == "__main__":
    main()

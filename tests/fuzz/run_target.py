"""Fuzz one target in this process: `python -m tests.fuzz.run_target NAME`, with options of libFuzzer."""

from __future__ import annotations

import sys

import atheris

# What is imported here is compiled with counters; nothing may have imported it before.
with atheris.instrument_imports(include=["rtdemo"]):
    from tests.fuzz.fuzzed_server import FuzzedServer
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Mutate bytes until the time is over or an input breaks a promise; does not return."""
    name, *options = sys.argv[1:]
    server = FuzzedServer()
    atheris.Setup([name, *options], lambda data: TARGETS[name].target(server, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()

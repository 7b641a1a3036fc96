"""What storm prints of a process before it ends it."""

from __future__ import annotations

import subprocess
import sys

from rtdemo.lab.storm.server_process import command_line


def test_folders_are_left_out_of_a_command_line_and_paths_of_a_url_are_not() -> None:
    """`--base-path rt` would be another server than `--base-path /rt`."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, "--base-path", "/rt", "/opt/site/app.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        line = command_line(process.pid)
        process.communicate()
    assert line.endswith("--base-path /rt app.py")

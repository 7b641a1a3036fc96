"""What storm prints of a process, and what it keeps of that process's own words."""

from __future__ import annotations

import os
import subprocess
import sys

from rtdemo.lab.storm.command_output import KEPT_BYTES, MAX_BYTES, CommandOutput
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


def test_output_of_a_command_is_bounded() -> None:
    """A server that prints a line for each of thousands of clients must not fill the disk."""
    output = CommandOutput()
    lines = ("seq", "-f", "line %.0f of a log that grows", "40000")
    subprocess.run(lines, stdout=output.file, check=True)
    assert output.file.seek(0, os.SEEK_END) > MAX_BYTES
    output.trim()
    assert output.file.seek(0, os.SEEK_END) == KEPT_BYTES
    assert output.last_line() == "its last line: line 40000 of a log that grows"
    # What the command prints next follows.
    subprocess.run(["echo", "the end"], stdout=output.file, check=True)
    assert output.file.seek(0, os.SEEK_END) == KEPT_BYTES + len("the end\n")
    assert output.last_line() == "its last line: the end"
    output.close()

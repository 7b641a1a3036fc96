"""What docs/troubleshooting.md quotes is what the program prints."""

from __future__ import annotations

import errno
import os
import re

from rtdemo.errors import ListenError
from rtdemo.lab.doctor.run import CHECKS, FIRST_CHECKS
from tests.docs.markdown import read, section

PAGE = "docs/troubleshooting.md"


def test_line_about_a_port_in_use_is_the_server_s() -> None:
    """Whoever searches for the line that the server printed finds it."""
    in_use = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    line = str(ListenError("", 3000, "--port", "PORT", in_use))
    quoted = section(PAGE, "The server does not start").partition("| `")[2].partition("`")[0]
    assert line.startswith(f"{quoted};")


def test_checks_of_doctor_exist() -> None:
    """Each check that the page names is one that doctor prints."""
    named: set[str] = set()
    for names in re.findall(r"doctor's checks? (`[^`]+`(?: and `[^`]+`)*)", read(PAGE)):
        named |= set(re.findall(r"`([^`]+)`", names))
    assert len(named) > 6
    assert named - {spec.name for spec in (*FIRST_CHECKS, *CHECKS)} == set()

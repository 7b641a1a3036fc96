"""A certificate that nobody trusts until it is told to."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.system_packages import OPENSSL, require


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


def self_signed(folder: Path, days: int = 30) -> Certificate:
    """Make a certificate for `localhost` with openssl."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch -subj /CN=localhost"
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", str(days))
    files = ("-keyout", str(made.key), "-out", str(made.certificate))
    subprocess.run([require(OPENSSL), *words.split(), *names, *files], check=True, capture_output=True)
    return made

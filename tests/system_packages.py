"""Install the programs that tests run beside Python; skip the tests of a program that is missing.

`make test` runs this file first. It installs missing programs with apt-get where the user has the right
to use it, and otherwise prints one line for each. A test asks for a program with `require`, which skips
the test with that same line. In CI (`CI=true`) a missing program is an error: there nothing is skipped.

Usage: python -m tests.system_packages [--no-install] [--matrix] [--deploy]
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Debian's folders for servers, which are not on the PATH of every user."""
LOCK_TIMEOUT_S = 300
"""Time that apt-get waits for another apt-get to end."""
PLAYWRIGHT_PATH = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


@dataclass(frozen=True)
class Program:
    """A program that tests run.

    Attributes:
        name: its file.
        package: its Debian package, if its name is another one.
        others: names of programs that do as well, for systems without this one.
        variable: environment variable that names another file to run.
        other_way: how to install it without apt-get.
        is_optional: whether the tests run a package from PyPI in its place.
    """

    name: str
    package: str = ""
    others: tuple[str, ...] = ()
    variable: str = ""
    other_way: str = "your package manager"
    is_optional: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """Debian packages of which each has it, the best first."""
        return (self.package or self.name, *self.others)

    @property
    def advice(self) -> str:
        """What is missing and how to install it, in one line."""
        ways = f"`apt-get install {self.packages[0]}` or {self.other_way}"
        return f"{self.name} is missing; install it with {ways}"


CHROMIUM = Program(
    "chromium-headless-shell",  # without windows: it takes half the CPU time of the whole browser
    others=("chromium",),
    variable="RTDEMO_CHROMIUM",
    other_way="`.venv/bin/playwright install chromium`",
)
CURL = Program("curl")
FIREFOX = Program("firefox-esr", others=("firefox",))
HAPROXY = Program("haproxy")
NGINX = Program("nginx")
OPENSSL = Program("openssl")
REDIS = Program("redis-server", is_optional=True)
WEBKIT = Program("WebKitWebDriver", package="webkit2gtk-driver")
XVFB = Program("Xvfb", package="xvfb")
"""A screen for WebKit, which has no mode without windows."""
APACHE = Program("apache2")
CADDY = Program("caddy")
DEBOOTSTRAP = Program("debootstrap")
H2O = Program("h2o")
LIGHTTPD = Program("lighttpd", package="lighttpd-mod-openssl")
NGHTTPX = Program("nghttpx", package="nghttp2-proxy")
PROMETHEUS = Program("prometheus")
PROMTOOL = Program("promtool", package="prometheus")
SQUID = Program("squid")
STUNNEL = Program("stunnel", package="stunnel4")
SYSTEMD = Program("systemd-analyze", package="systemd")
VARNISH = Program("varnishd", package="varnish")
PROGRAMS = (CADDY, CHROMIUM, CURL, FIREFOX, HAPROXY, NGINX, OPENSSL, REDIS, SYSTEMD, WEBKIT, XVFB)
MATRIX_PROGRAMS = (APACHE, H2O, LIGHTTPD, NGHTTPX, SQUID, STUNNEL, VARNISH)
"""Further proxies, which `make matrix` installs and no test in CI needs."""
DEPLOY_PROGRAMS = (APACHE, DEBOOTSTRAP, PROMETHEUS)
"""What `make deploy` installs in addition."""
MORE = {"--matrix": MATRIX_PROGRAMS, "--deploy": DEPLOY_PROGRAMS}
"""Programs that an argument adds."""


def find(program: Program) -> str | None:
    """Return the path of a program, or None where it is missing."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    given = os.environ.get(program.variable)
    names = (given,) if given else (program.name, *program.others)
    found = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
    return found or (_playwright_chromium() if program is CHROMIUM else None)


def require(program: Program) -> str:
    """Return the path of a program; skip the test where it is missing, or fail it in CI."""
    path = find(program)
    if path is None:
        # Elsewhere than in CI a missing program costs only its own tests.
        (pytest.fail if _is_ci() else pytest.skip)(program.advice)
    return path


def install(programs: Sequence[Program]) -> None:
    """Install programs with apt-get; a failure is reported and leaves the program missing."""
    command = [*_root_prefix(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    command += ["-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}"]
    print(f"Installing {', '.join(program.name for program in programs)} with apt-get ...", flush=True)
    subprocess.run([*command, "update"], check=False)
    for program in programs:
        # One by one: a package that this system does not have shall not keep the others from it.
        for name in program.packages:
            last = [*command, "install", "-y", "--no-install-recommends", name]
            if subprocess.run(last, stdout=subprocess.DEVNULL, check=False).returncode == 0:
                break
    if Path("/run/systemd/system").is_dir():
        print("apt-get starts the servers that it installs; `systemctl disable --now NAME` stops one.")


def can_install() -> bool:
    """Return whether apt-get exists and the user has the right to use it without a password."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Install what is missing and report what stays missing; return 1 in CI if anything does."""
    programs = [*PROGRAMS, *(program for word in arguments for program in MORE.get(word, ()))]
    missing = [program for program in programs if find(program) is None]
    if missing and "--no-install" not in arguments and can_install():
        install(missing)
    missing = [program for program in programs if find(program) is None and not program.is_optional]
    for program in missing:
        print(program.advice, file=sys.stderr)
    return 1 if missing and _is_ci() else 0


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


def _root_prefix() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


@functools.cache
def _playwright_chromium() -> str | None:
    """Return the browser of `playwright install chromium`, if it is there.

    In a process of its own: Playwright's synchronous interface does not work beside a running loop.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PLAYWRIGHT_PATH], capture_output=True, text=True, check=False
    )
    return shutil.which(ran.stdout.strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

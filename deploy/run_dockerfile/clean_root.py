"""Make a clean Debian root folder, and run commands in it apart from this machine's processes.

debootstrap makes the root, and a cache keeps it. Commands run under `unshare` and `chroot`, which only
root may use, and only on Linux.
"""

from __future__ import annotations

import gzip
import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.run_dockerfile.container import Container

# ruff: noqa: S603, S607 - each command is written here and runs in a root folder of its own

SUITE = "bookworm"
"""The Debian release that has Python 3.11."""
PACKAGES = ("python3", "python3-venv", "python3-pip", "python-is-python3", "ca-certificates")
"""What python:3.11-slim has beyond a minimal Debian: Python, venv, pip, and `python` as a name."""
MIRROR = "http://deb.debian.org/debian"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The base image's PATH."""
PROGRAMS = {
    "debootstrap": "debootstrap",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "chroot": "coreutils",
    "ip": "iproute2",
}
"""Programs of this machine that a run needs, and the Debian packages that have them."""
GZIP_LEVEL = 6
"""The default of gzip, with which Docker compresses layers."""
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_BORROWED = ("etc/resolv.conf", CERTIFICATES)


def missing() -> str | None:
    """Return what a run needs and this machine does not have, as one line; None where it has all."""
    if not sys.platform.startswith("linux"):
        return "needs Linux, for namespaces and chroot"
    if os.geteuid() != 0:
        return "needs root, for chroot and mount; run it with sudo"
    path = _environ()["PATH"]
    lacking = {package for name, package in PROGRAMS.items() if not shutil.which(name, path=path)}
    if lacking:
        return f"needs more programs; on Debian: apt-get install {' '.join(sorted(lacking))}"
    return None


def make_base(folder: Path) -> bool:
    """Make the base root in a folder unless it is there; return whether it was made now.

    Raises:
        subprocess.CalledProcessError: where debootstrap fails.
    """
    if folder.is_dir():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    include = f"--include={','.join(PACKAGES)}"
    command = ["debootstrap", "--variant=minbase", include, SUITE, str(unfinished), MIRROR]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environ())
    shutil.rmtree(unfinished / "var/cache/apt/archives", ignore_errors=True)
    shutil.rmtree(unfinished / "var/lib/apt/lists", ignore_errors=True)
    # Debian forbids pip to change the system's Python; the base image does not have this file.
    for marker in unfinished.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    unfinished.rename(folder)
    return True


def _environ() -> dict[str, str]:
    """Return this machine's variables, with the folders that only root has in its PATH."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


_UNSHARE = (
    *("unshare", "--mount", "--propagation", "private", "--pid", "--ipc", "--uts"),
    *("--fork", "--kill-child"),
)


class Root:
    """Hold a root folder, and run the commands of a Dockerfile in it.

    Arguments:
        folder: a copy of the base root, or of an earlier stage's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def copy_of(cls, other: Path, folder: Path) -> Root:
        """Return a new root with the files of another."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(other), str(folder)], check=True)
        return cls(folder)

    def inside(self, path: str) -> Path:
        """Return where an absolute path of this root lies on this machine."""
        return self.folder / path.lstrip("/")

    def layer_mb(self, base: Path) -> tuple[float, float]:
        """Return how large a layer with the files that another root lacks is.

        Arguments:
            base: folder of the other root.

        Returns:
            Millions of bytes: of the files, and of the layer as registries keep it, compressed.
        """
        paths = [path for path in sorted(self.folder.rglob("*")) if self._is_new(path, base)]
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in paths:
                tar.add(path, path.relative_to(self.folder), recursive=False)
        size = sum(path.lstat().st_size for path in paths if not path.is_dir())
        return size / 1e6, len(gzip.compress(archive.getbuffer(), GZIP_LEVEL)) / 1e6

    def _is_new(self, path: Path, base: Path) -> bool:
        other = base / path.relative_to(self.folder)
        return not other.is_symlink() and not other.exists()

    def ids(self, user: str) -> tuple[int, int]:
        """Return the user and group numbers of a USER: `10001:10001`, `10001`, a name, or nothing."""
        name, _, group = user.partition(":")
        if not name:
            return 0, 0
        for line in self.inside("/etc/passwd").read_text().splitlines():
            known, _, uid, gid, *_rest = line.split(":")
            if name in (known, uid):
                return int(uid), int(group or gid)
        return int(name), int(group or 0)

    def run(
        self, words: Sequence[str], environ: Mapping[str, str], workdir: str, user: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a build step with this machine's network and certificates; return its code and output."""
        script = [self._mount_proc()]
        for name in _BORROWED:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            script.append(f"mount --bind {shlex.quote(f'/{name}')} {shlex.quote(str(target))}")
        script.append(f"exec {self._in_root(words, environ, workdir, user)}")
        command = [*_UNSHARE, "sh", "-ec", "\n".join(script)]
        return subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def start(
        self, words: Sequence[str], environ: Mapping[str, str], workdir: str, user: str, log: Path
    ) -> Container:
        """Start a command as a container engine does with compose.yaml's settings, and return it.

        It is process 1 of its own namespaces, on a network of its own that has only loopback. The root
        is read-only but for /tmp; no capability is left, and none can be gained.
        """
        here = shlex.quote(str(self.folder))
        script = [
            "ip link set lo up",
            f"mount --bind {here} {here}",
            self._mount_proc(),
            f"mount -t tmpfs tmpfs {here}/tmp",  # noqa: S108 - the container's own
            f"mount -o remount,bind,ro {here}",
            f"exec {self._in_root(words, environ, workdir, user, harden=True)}",
        ]
        command = [*_UNSHARE, "--net", "sh", "-ec", "\n".join(script)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=_environ())
        return Container(process, self.folder, environ, self.ids(user))

    def _mount_proc(self) -> str:
        return f"mount -t proc proc {shlex.quote(str(self.folder / 'proc'))}"

    def _in_root(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        workdir: str,
        user: str,
        harden: bool = False,
    ) -> str:
        uid, gid = self.ids(user)
        # The kernel forgets --kill-child's signal as the user changes; so it is set again.
        drop = ["setpriv", "--pdeathsig=KILL", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        if harden:
            drop += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        variables = [f"{name}={value}" for name, value in environ.items()]
        command = ["chroot", str(self.folder), *drop]
        return shlex.join([*command, "env", "-i", f"--chdir={workdir}", *variables, *words])

"""A root of its own, over this machine's, with boot loaders that were unpacked and not installed.

What is written there lies in memory and is gone with it. Programs run in it with a mount namespace
of their own, in which alone the kernel's file systems are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lanekeeper.domain.errors import NotFound
from lanekeeper.host.actor import Actor
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.lab.cache import Cache

TOOLS = Path(sys.prefix) / "boot-tools"
WITHIN_S = 300
_ENTER = """
mount --rbind /proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A root, and the means to run programs in it."""

    root: Path

    def __call__(self, command: Sequence[str]) -> None:
        self.said(*command)

    def said(self, *command: str, **environment: str) -> str:
        """Run a program that must end with 0; return what it printed."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **environment}
        words = ["unshare", "--mount", "sh", "-ec", _ENTER, str(self.root), *command]
        return subprocess.run(
            words, env=path, capture_output=True, text=True, check=False, timeout=WITHIN_S
        )

    def need(self, program: str) -> None:
        """Skip the test where the mirror had no package with *program*."""
        if not (TOOLS / program).exists():
            pytest.skip(f"no {program} from this machine's mirror: ./dev setup")

    @property
    def actor(self) -> Actor:
        return Actor(self.root, SimulatedMachine(self.root), self)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def add_kernel(self) -> str:
        """Show the lab's kernel in it, as the one that runs; return its release."""
        try:
            cache = Cache()
            release = cache.release()
        except NotFound as error:
            pytest.skip(f"{error}: ./dev setup")
        self.write("proc/version", f"Linux version {release} (x) #1\n")
        modules = self.root / "usr/lib/modules" / release
        modules.mkdir(parents=True)
        subprocess.run(
            ["mount", "--bind", str(cache.kernel / "lib/modules" / release), str(modules)],
            check=True,
        )
        shutil.copy(cache.vmlinuz(), self.root / "boot")
        self.write(f"boot/config-{release}", "CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\n")
        return release


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Make one; skips where it cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("a root of its own needs root")
    if not TOOLS.is_dir():
        pytest.skip("no boot loaders from this machine's mirror: ./dev setup")
    place = Path("/dev/shm") / f"lanekeeper-boot-{os.getpid()}"  # an overlay cannot lie on another
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    try:
        for name in ("lower", "upper", "work", "root"):
            (place / name).mkdir()
        shutil.copytree(TOOLS, place / "lower", symlinks=True, dirs_exist_ok=True)
        options = f"lowerdir={place}/lower:/,upperdir={place}/upper,workdir={place}/work"
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no overlay over this machine's root: {done.stderr.strip()}")
        try:
            yield _bare(place / "root")
        finally:
            subprocess.run(["umount", "--recursive", str(place / "root")], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def _bare(root: Path) -> Scratch:
    """Take this machine's own boot out of it; only what tests put there counts."""
    for name in ("boot", "efi", "etc/modprobe.d", "etc/lanekeeper", "var/lib/lanekeeper-host"):
        if (root / name).is_dir():
            shutil.rmtree(root / name)
    for name in ("boot", "proc", "dev", "etc/default", "etc/modprobe.d", "sys/bus/pci/devices"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return Scratch(root)

"""What the lab needs from the distribution, and how it comes here.

QEMU, libvirt and a few tools are installed. The lab's kernel and a static busybox are downloaded
and unpacked into the cache, never installed: a developer's machine keeps its own. Nothing that is
installed starts by itself, and the second call finds everything there and does nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lanekeeper.domain.errors import Conflict, Forbidden, HostFault, NotFound
from lanekeeper.lab.apt_source import (
    AptSource,
    backports_entry,
    parse_deb822,
    parse_one_line,
    render_deb822,
)
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.program import run

INSTALL_TIMEOUT_S = 1800.0
APT_OPTIONS = ("-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root")
STAMP_VERSION = 3

TOOLS = [
    "dnsmasq-base",
    "e2fsprogs",
    "ethtool",
    "iproute2",
    "kmod",
    "nvme-cli",
    "openvswitch-switch",
    "pciutils",
    "udev",
    "xz-utils",
    "zstd",
    "gcc",
    "libc6-dev",
    "pkg-config",
    "python3-dev",
]
VIRTUALISATION = [
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-dev",
    "qemu-system-x86",
    "qemu-utils",
]
# Debian's libvirt 11 puts these two into packages of their own; Ubuntu 24.04's 10.0 does not.
SPLIT_DRIVERS = ["libvirt-daemon-driver-nodedev", "libvirt-daemon-log"]
# QEMU needs these in its own version, and apt 2.6 does not follow "name/release" into them.
QEMU_PARTS = ["qemu-system-common", "qemu-system-data", "seabios"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What one release of a distribution calls the things that the lab needs.

    Attributes:
        virtualisation: packages that come from *backports* where that is set.
        kernel: meta-package whose dependency names the kernel to unpack.
    """

    name: str
    virtualisation: tuple[str, ...]
    kernel: str
    codename: str
    backports: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(sorted([*TOOLS, *self.virtualisation]))


# Debian 12's own QEMU 7.2 has no 82576; the first QEMU that has one is 8.0.
DISTRIBUTIONS = {
    ("debian", "12"): Distribution(
        "Debian 12",
        tuple(VIRTUALISATION + SPLIT_DRIVERS + QEMU_PARTS),
        "linux-image-amd64",
        "bookworm",
        backports=True,
    ),
    ("debian", "13"): Distribution(
        "Debian 13", tuple(VIRTUALISATION + SPLIT_DRIVERS), "linux-image-amd64", "trixie"
    ),
    ("ubuntu", "24.04"): Distribution(
        "Ubuntu 24.04", tuple(VIRTUALISATION), "linux-image-generic", "noble"
    ),
}

Say = Callable[[str], None]


def parse_os_release(text: str) -> dict[str, str]:
    """Read ``/etc/os-release``'s KEY=value lines, quotes removed."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def select_distribution(os_release: Mapping[str, str]) -> Distribution:
    """Find the running distribution among those the lab knows.

    Raises:
        NotFound: it is none of them; the message names them.
    """
    here = os_release.get("ID", "?"), os_release.get("VERSION_ID", "?")
    if found := DISTRIBUTIONS.get(here):
        return found
    known = ", ".join(distribution.name for distribution in DISTRIBUTIONS.values())
    raise NotFound(
        f"the lab cannot install its packages on {' '.join(here)}; it knows {known}",
        hint="install QEMU 8.2 or later and libvirt yourself, or use lanekeeper up --simulate 1",
    )


def read_distribution(root: Path = Path("/")) -> Distribution:
    """Say which distribution runs below *root*. Raises NotFound."""
    text = (root / "etc/os-release").read_text(encoding="utf-8")
    return select_distribution(parse_os_release(text))


def read_apt_sources(root: Path = Path("/")) -> list[AptSource]:
    """Read every APT source that is configured below *root*, in apt's order."""
    folder = root / "etc/apt"
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[AptSource] = []
    for path in files:
        parse = {".list": parse_one_line, ".sources": parse_deb822}.get(path.suffix)
        if parse and path.is_file():
            found.extend(parse(path.read_text(encoding="utf-8")))
    return found


def installed(names: Sequence[str]) -> set[str]:
    """Say which of *names* dpkg has installed."""
    listing = "${db:Status-Status} ${Package}\n"
    try:
        out = run(["dpkg-query", "-W", "-f", listing, *names])
    except HostFault:  # some names are unknown to dpkg: ask for all that it knows
        out = run(["dpkg-query", "-W", "-f", listing])
    lines = (line.partition(" ") for line in out.decode().splitlines())
    return {name for status, _, name in lines if status == "installed"} & set(names)


def missing(distribution: Distribution, cache: Cache) -> tuple[str, ...]:
    """Name what is not here yet: packages, and "kernel" or "busybox" of the cache."""
    packages = sorted(set(distribution.packages) - installed(distribution.packages))
    return (*packages, *(() if _is_unpacked(distribution, cache) else ("kernel", "busybox")))


def _is_unpacked(distribution: Distribution, cache: Cache) -> bool:
    with suppress(OSError, ValueError, NotFound):
        stamp = json.loads(cache.stamp.read_text(encoding="utf-8"))
        same = stamp == {"version": STAMP_VERSION, "distribution": distribution.name}
        return same and cache.vmlinuz().is_file() and cache.busybox.is_file()
    return False


def install(cache: Cache, say: Say, root: Path = Path("/")) -> None:
    """Bring here what is missing; say what is done. Done already is done.

    Raises:
        NotFound: an unknown distribution, or no mirror to derive backports from.
        Forbidden: something is missing and the caller is not root.
        HostFault: apt or dpkg refused.
    """
    distribution = read_distribution(root)
    lacking = missing(distribution, cache)
    if not lacking:
        say(f"{distribution.name}: everything the lab needs is here")
        return
    if os.geteuid() != 0:
        raise Forbidden(f"root is needed to install {', '.join(lacking)}")
    if distribution.backports:
        add_backports(distribution, say, root)
    run(["apt-get", "update", *APT_OPTIONS], timeout_s=INSTALL_TIMEOUT_S)
    packages = [name for name in distribution.packages if name in lacking]
    if packages:
        say(f"installing {' '.join(packages)}")
        with no_service_starts(root / "usr/sbin/policy-rc.d"):
            apt_install(distribution, packages)
    if "kernel" in lacking:
        unpack_cache(distribution, cache, say)


def add_backports(distribution: Distribution, say: Say, root: Path) -> None:
    """Configure the release's backports from the mirror in use. Raises NotFound."""
    entry = backports_entry(read_apt_sources(root), distribution.codename)
    if entry is None:
        return
    path = root / "etc/apt/sources.list.d/lanekeeper-backports.sources"
    say(f"adding {path}: {' '.join(entry.uris)} {' '.join(entry.suites)}")
    write_whole(path, render_deb822(entry).encode())


def apt_install(distribution: Distribution, packages: Sequence[str]) -> None:
    """Install *packages*, those of virtualisation from backports where the release needs it."""
    # "name/release" takes dependencies from the release only where they need it; "-t release"
    # would take every one of them, and replace the machine's systemd on the way.
    suffix = f"/{distribution.codename}-backports" if distribution.backports else ""
    wanted = [name + suffix if name in distribution.virtualisation else name for name in packages]
    run(
        ["apt-get", "install", *APT_OPTIONS, "--no-install-recommends", *wanted],
        timeout_s=INSTALL_TIMEOUT_S,
        extra_environment={"DEBIAN_FRONTEND": "noninteractive"},
    )


@contextmanager
def no_service_starts(policy: Path) -> Iterator[None]:
    """While this lasts, packages being installed start no daemon; then *policy* is as before.

    Source: Debian Policy 9.3.3.1, ``policy-rc.d`` and its answer 101 "action not allowed".
    """
    saved = policy.with_name("policy-rc.d.before-lanekeeper")
    if not saved.exists() and policy.exists():
        policy.rename(saved)
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    try:
        yield
    finally:
        if saved.exists():  # also one that an installation left that was killed
            saved.replace(policy)
        else:
            policy.unlink(missing_ok=True)


def unpack_cache(distribution: Distribution, cache: Cache, say: Say) -> None:
    """Download and unpack the lab's kernel and busybox into *cache*, replacing older ones."""
    cache.root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache.root, prefix=".unpack-") as folder:
        stage = Path(folder)
        names = kernel_packages(distribution)
        say(f"unpacking {' '.join(names)} into {cache.kernel}")
        kernel, busybox = stage / "kernel", stage / "busybox"
        unpack(names, kernel)
        unpack(["busybox-static"], busybox)
        index_modules(kernel)
        cache.busybox.parent.mkdir(exist_ok=True)
        binary = next(path for path in busybox.glob("**/bin/busybox") if path.is_file())
        write_whole(cache.busybox, binary.read_bytes())
        cache.busybox.chmod(0o755)
        cache.stamp.unlink(missing_ok=True)
        if cache.kernel.exists():
            cache.kernel.rename(stage / "old")
        kernel.rename(cache.kernel)
    stamp = {"version": STAMP_VERSION, "distribution": distribution.name}
    write_whole(cache.stamp, json.dumps(stamp).encode())


def kernel_packages(distribution: Distribution) -> list[str]:
    """Name the packages that hold the kernel that *distribution*'s meta-package asks for.

    Raises:
        Conflict: the meta-package names no kernel.
    """
    shown = run(["apt-cache", "show", distribution.kernel]).decode()
    image = newest_kernel(shown)
    release = image.removeprefix("linux-image-")
    extra = [f"linux-modules-{release}", f"linux-modules-extra-{release}"]
    known = run(["apt-cache", "pkgnames", "linux-modules"]).decode().split()
    return [image, *(name for name in extra if name in known)]


def newest_kernel(shown: str) -> str:
    """Find the kernel package in the first stanza of ``apt-cache show``: the newest version's.

    Raises:
        Conflict: there is none.
    """
    for line in shown.splitlines():
        if line.startswith("Depends:") and (found := re.search(r"linux-image-\d\S*", line)):
            return found.group().rstrip(",")
    raise Conflict("the kernel's meta-package depends on no kernel", hint="run: apt-get update")


def unpack(packages: Sequence[str], target: Path) -> None:
    """Download *packages* and unpack their files below *target*, running none of their scripts."""
    with TemporaryDirectory(dir=target.parent) as folder:
        run(
            ["apt-get", "download", *APT_OPTIONS, *packages],
            cwd=Path(folder),
            timeout_s=INSTALL_TIMEOUT_S,
        )
        for archive in Path(folder).glob("*.deb"):
            run(["dpkg-deb", "-x", str(archive), str(target)], timeout_s=INSTALL_TIMEOUT_S)


def index_modules(kernel: Path) -> None:
    """Make ``lib/modules`` whole: at its usual place, and with the index that modprobe reads."""
    if not (kernel / "lib").exists():  # distributions with a merged /usr ship usr/lib/modules
        (kernel / "lib").symlink_to("usr/lib")
    for release in (kernel / "lib/modules").iterdir():
        run(["depmod", "-b", str(kernel), release.name])

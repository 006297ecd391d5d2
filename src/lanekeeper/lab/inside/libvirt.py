"""libvirtd in the lab host: its configuration, a quick start, and what a start found out.

Asking QEMU what it can do takes libvirt a quarter of a minute under emulation. It keeps the
answer in a cache; the lab keeps that cache from one lab host to the next.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from lanekeeper.domain.errors import HostFault, Unavailable

START_TIMEOUT_S = 360
LIBVIRTD = Path("/usr/sbin/libvirtd")
SOCKET = Path("/run/libvirt/libvirt-sock")
CAPABILITIES = Path("/var/cache/libvirt/qemu/capabilities")
LOG = Path("/run/lab/libvirtd.log")
DOMAIN_CAPABILITIES = ["virsh", "-c", "qemu:///system", "domcapabilities", "--virttype", "kvm"]

# Root everywhere: the lab host has one user and nobody to protect from another.
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
seccomp_sandbox = 0
stdio_handler = "file"
"""
LIBVIRTD_CONF = f"""\
unix_sock_group = "root"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid_source = "machine-id"
log_outputs = "2:file:{LOG}"
"""
FOLDERS = ("/var/lib/libvirt", "/var/log/libvirt/qemu", str(CAPABILITIES), "/run/libvirt")


def start_libvirt(seed: Path) -> dict[str, Any]:
    """Start libvirtd unless it runs, and wait until it answers.

    Returns ``capabilities``: the files of its cache by name, base64, if *seed* did not have them.

    Raises:
        Unavailable: libvirt is not installed.
        HostFault: it ended, or did not answer in time; carries the end of its log.
    """
    if not LIBVIRTD.exists():
        raise Unavailable("libvirtd is not installed", hint="run: lanekeeper lab install")
    began = time.monotonic()
    if not SOCKET.exists():
        configure(seed)
        _call([str(LIBVIRTD), "-d"])
    _call(DOMAIN_CAPABILITIES)
    took = time.monotonic() - began
    return {"seconds": round(took, 1), "capabilities": fresh_capabilities(seed)}


def configure(seed: Path) -> None:
    """Write the configuration and lay in the capabilities of an earlier lab host."""
    for folder in FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF, encoding="ascii")
    Path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF, encoding="ascii")
    for path in seed.glob("*.xml"):
        copy, times = CAPABILITIES / path.name, path.stat()
        copy.write_bytes(path.read_bytes())
        os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


def fresh_capabilities(seed: Path) -> dict[str, str]:
    """Read what libvirt found out itself: every file that *seed* lacks or has otherwise."""
    found: dict[str, str] = {}
    for path in CAPABILITIES.glob("*.xml"):
        content, known = path.read_bytes(), seed / path.name
        if not known.exists() or known.read_bytes() != content:
            found[path.name] = base64.b64encode(content).decode()
    return found


def _call(argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostFault(f"{argv[0]} gave no answer within {START_TIMEOUT_S} s") from error
    if done.returncode:
        log = LOG.read_text(errors="replace")[-1500:] if LOG.exists() else "(no log)"
        said = done.stderr.decode(errors="replace").strip()
        raise HostFault(f"{argv[0]} ended with {done.returncode}: {said}\n{log}")

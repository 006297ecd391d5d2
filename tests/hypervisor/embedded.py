"""libvirt's QEMU driver inside this process, with a root directory of its own.

No daemon, no /var/lib, nothing shared with the libvirt of this machine; the guests are real QEMU
processes. Source: libvirt ``docs/drvqemu.rst``, "Embedded driver".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIGURATION = """
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


def embedded_uri(root: Path) -> Iterator[str]:
    """Give the URI of a libvirt below *root*; its events are served until the end."""
    libvirt = pytest.importorskip("libvirt")
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "qemu.conf").write_text(CONFIGURATION)
    libvirt.virEventRegisterDefaultImpl()
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            libvirt.virEventRunDefaultImpl()

    def tick(_timer: int, _nothing: object) -> None:
        """Wakes ``serve``, so that it sees its end."""

    libvirt.virEventAddTimeout(200, tick, None)
    thread = threading.Thread(target=serve)
    thread.start()
    yield f"qemu:///embed?root={root}"
    stopping.set()
    thread.join()

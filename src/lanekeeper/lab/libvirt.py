"""libvirtd of a lab host: started from outside, quickly once one before it has found out things."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from lanekeeper.domain.errors import Error
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.channel import Channel
from lanekeeper.lab.folder import LabFolder, Running
from lanekeeper.lab.machine import SLOW_FEATURES
from lanekeeper.lab.program import run

TIMEOUT_S = 420.0


def start_libvirt(
    cache: Cache, folder: LabFolder, running: Running, say: Callable[[str], None]
) -> Running:
    """Start libvirtd in the lab host; keep what it found out for the next one. Raises HostFault."""
    key = capabilities_key(cache)
    answer = Channel(folder.path).ask("libvirt", timeout_s=TIMEOUT_S, key=key)
    for name, content in answer["capabilities"].items():
        write_whole(cache.capabilities / key / Path(name).name, base64.b64decode(content))
    say(f"libvirt answers after {answer['seconds']} s")
    return replace(running, libvirt_s=float(answer["seconds"]))


def capabilities_key(cache: Cache) -> str:
    """Name the circumstances under which what libvirt found out stays true."""
    listing = "${Package} ${Version} ${db:Status-Abbrev}\n"
    packages = ["qemu-system-x86", "libvirt-daemon", "libvirt-daemon-driver-qemu"]
    with suppress(Error):
        versions = run(["dpkg-query", "-W", "-f", listing, *packages])
        told = f"{cache.release()} {SLOW_FEATURES}"
        return sha256(versions + told.encode()).hexdigest()[:16]
    return "unknown"

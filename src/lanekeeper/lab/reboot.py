"""A lab host that ends and starts again, with what is on its disk and what its boot menu says."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from lanekeeper.domain.errors import Error, HostFault, Unavailable
from lanekeeper.lab import boot_menu, disk, ending, process
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.channel import Channel
from lanekeeper.lab.folder import LabFolder, Running
from lanekeeper.lab.lab import Say, launch, why_again
from lanekeeper.lab.libvirt import start_libvirt
from lanekeeper.lab.machine import with_kernel_arguments

GOES_DOWN_WITHIN_S = 180.0


def reboot(folder: LabFolder, cache: Cache, say: Say, *, libvirt: bool | None = None) -> Running:
    """End the lab host and start it again; one that has ended is started, as after a power cut.

    Args:
        folder: of a lab that got ready once.
        cache: where what libvirt finds out is kept.
        say: is told what happens.
        libvirt: whether to start libvirtd in it again; None: if it was started before.

    Raises:
        Unavailable: there is no such lab, or it never got ready.
        Conflict: somebody is starting or ending it.
        HostFault: the boot menu starts no kernel (nothing happened), the lab host does not end, or
            did not get ready again: it is left as it is, to be looked at.
    """
    with folder.locked():
        before = folder.running()
        if before is None:
            raise Unavailable(f"lab {folder.name} never got ready", hint="run: lanekeeper lab up")
        folder.remember_starter()
        if process.alive(before.pid):
            _end(folder, before.pid)
        process.end_all(folder.path)
        words = _read_menu(folder)
        keep_panic(folder, say)
        say(f"starting lab host {folder.name} again with {words}")
        running = _start(folder, before, say)
        if libvirt is None:
            libvirt = before.libvirt_s is not None
        running = start_libvirt(cache, folder, running, say) if libvirt else running
        folder.remember(running)
        return running


def _end(folder: LabFolder, pid: int) -> None:
    Channel(folder.path).ask("reboot")
    if not process.wait_gone([pid], time.monotonic() + GOES_DOWN_WITHIN_S):
        raise HostFault(
            f"lab host {folder.name} did not end within {GOES_DOWN_WITHIN_S:.0f} s: "
            f"{ending.panic_told(folder) or ending.tail(folder.console)}"
        )


def keep_panic(folder: LabFolder, say: Say) -> None:
    """Say that the kernel had panicked, and keep its words: the next start has a log of its own."""
    words = ending.panic(folder)
    if words:
        kept = folder.console.replace(folder.panic_log)
        say(f"the kernel of lab host {folder.name} had panicked: {words}; see {kept}")


def _read_menu(folder: LabFolder) -> str:
    """Put the menu's kernel arguments into the launch file, and return them. Raises HostFault."""
    menu = disk.read(folder.disk, boot_menu.MENU).decode("utf-8", "replace")
    words = boot_menu.kernel_arguments(menu)
    told = json.loads(folder.launch.read_text(encoding="utf-8"))
    told["argv"] = with_kernel_arguments(told["argv"], words)
    write_whole(folder.launch, json.dumps(told).encode())
    return words


def _start(folder: LabFolder, before: Running, say: Say) -> Running:
    """Boot; once more where the lab host fell or hangs. Raises HostFault."""
    try:
        pid, boot_s = launch(folder)
    except Error as error:
        say(f"starting again: {why_again(folder, error)}")
        process.end_all(folder.path)
        pid, boot_s = launch(folder)
    say(f"lab host {folder.name} is ready after {boot_s} s")
    return replace(before, pid=pid, boot_s=boot_s, libvirt_s=None)

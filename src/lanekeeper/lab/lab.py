"""Labs: emulated SR-IOV compute hosts, started and ended whole."""

from __future__ import annotations

import compileall
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lanekeeper.domain.errors import Error, Forbidden, HostFault, Invalid, Unavailable
from lanekeeper.lab import (
    acceleration,
    cpio,
    disk,
    emulator,
    ending,
    initramfs,
    modules,
    process,
)
from lanekeeper.lab.acceleration import Acceleration
from lanekeeper.lab.cable import CARDS, cable_socket, check_cable
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.channel import Channel, answers
from lanekeeper.lab.folder import DEFAULT_STATE, LabFolder, Running
from lanekeeper.lab.libvirt import start_libvirt
from lanekeeper.lab.machine import MEMORY_MIB_MAX, MEMORY_MIB_MIN, LabSpec, arguments

READY_TIMEOUT_S = 400.0
POLL_S = 0.1
STARTER_PATIENCE_S = 20.0
FAILURE = "LAB-FAIL"
PORT_MAX = 65535

Say = Callable[[str], None]


class Hangs(HostFault):
    """The lab host neither got ready nor ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the caller of ``up`` wants.

    Attributes:
        opened: folders to show to the lab host beside the program's own, masked or not.
        libvirt: start libvirtd in it too.
        cable_to: name of a lab that runs; each card is cabled to the same card of that one.
    """

    name: str = "h1"
    controller_port: int = 8443
    memory_mib: int = 3072
    state: Path = DEFAULT_STATE
    cache: Cache = field(default_factory=Cache)
    opened: tuple[Path, ...] = ()
    libvirt: bool = True
    cable_to: str | None = None


def up(wanted: Wanted, say: Say, environment: Mapping[str, str]) -> Running:
    """Boot a lab host and return once it is ready; a failure or an interrupt leaves nothing.

    Raises:
        Invalid: a name, size or port that cannot be.
        Conflict: a lab of that name is there, or the one to be cabled to is cabled already.
        Forbidden: not root.
        NotFound: the lab was not installed.
        Unavailable: the lab to be cabled to does not run.
        HostFault: the lab host did not get ready; carries the end of its log.
    """
    check(wanted)
    check_cable(wanted.name, wanted.cable_to, wanted.state)
    folder = LabFolder(wanted.name, wanted.state)
    choice = acceleration.choose(environment)
    if is_abandoned(folder):
        say(f"removing what is left of an earlier lab {wanted.name}")
        clean(folder)
    folder.create()
    try:
        with folder.locked():
            folder.remember_starter()
            forced = acceleration.ENVIRONMENT in environment
            running = get_ready(wanted, folder, choice, say, forced=forced)
            folder.remember(running)
            return running
    except BaseException:  # also an interrupt: whoever sent it expects nothing to be left
        clean(folder)
        raise


def get_ready(
    wanted: Wanted, folder: LabFolder, choice: Acceleration, say: Say, *, forced: bool
) -> Running:
    """Boot, start libvirt; once more where the lab host fell or hangs. Raises HostFault."""
    try:
        return _get_ready(wanted, folder, choice, say, forced=forced)
    except Error as error:
        say(f"starting again: {why_again(folder, error)}")
    process.end_all(folder.path)
    return _get_ready(wanted, folder, choice, say, forced=forced)


def why_again(folder: LabFolder, error: Error) -> str:
    """Say why a start that ended in *error* is worth another one; raises *error* if it is not."""
    if isinstance(error, Hangs):
        return str(error)
    told = ending.fell(folder)
    if not told:
        raise error
    return told


def _get_ready(
    wanted: Wanted, folder: LabFolder, choice: Acceleration, say: Say, *, forced: bool
) -> Running:
    running = boot(wanted, folder, choice, say, forced=forced)
    return start_libvirt(wanted.cache, folder, running, say) if wanted.libvirt else running


def boot(
    wanted: Wanted, folder: LabFolder, choice: Acceleration, say: Say, *, forced: bool
) -> Running:
    """Start the lab host; without KVM where that turns out to be no use. Raises HostFault."""
    try:
        running = start(wanted, folder, choice, say)
    except HostFault as fault:
        if choice is Acceleration.TCG or forced:
            raise
        say(f"starting again without KVM: {fault}")
    else:
        if choice is Acceleration.TCG or forced or kvm_inside(folder):
            return running
        say("starting again without KVM: guests would not run in a lab host on this machine's")
    process.end_all(folder.path)
    return start(wanted, folder, Acceleration.TCG, say)


def check(wanted: Wanted) -> None:
    """Refuse what cannot be. Raises Invalid, Forbidden."""
    if not MEMORY_MIB_MIN <= wanted.memory_mib <= MEMORY_MIB_MAX:
        raise Invalid(f"memory: {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX} MiB, not {wanted.memory_mib}")
    if not 0 < wanted.controller_port <= PORT_MAX:
        raise Invalid(f"controller port: 1 to {PORT_MAX}, not {wanted.controller_port}")
    for path in wanted.opened:
        if not path.is_dir():
            raise Invalid(f"{path} is no folder that could be shown to the lab host")
    if os.geteuid() != 0:
        raise Forbidden("a lab needs root: it shows its root file system to the lab host")


def start(wanted: Wanted, folder: LabFolder, choice: Acceleration, say: Say) -> Running:
    """Start QEMU and wait until the lab host is ready. Raises HostFault."""
    spec = prepare(wanted, folder, choice)
    say(f"starting lab host {wanted.name} ({choice}, {wanted.memory_mib} MiB)")
    pid, boot_s = launch(folder)
    say(f"lab host {wanted.name} is ready after {boot_s} s")
    return Running(
        name=spec.name,
        pid=pid,
        acceleration=str(choice),
        controller_port=spec.controller_port,
        memory_mib=spec.memory_mib,
        boot_s=boot_s,
        cabled_to=wanted.cable_to,
    )


def launch(folder: LabFolder) -> tuple[int, float]:
    """Start QEMU as the launch file says; return its process id, and the seconds until ready.

    Raises HostFault.
    """
    sockets = (cable_socket(folder.path, card) for card in CARDS)
    for left in (folder.console, folder.qemu_log, *sockets):
        left.unlink(missing_ok=True)
    began = time.monotonic()
    stage = [sys.executable, "-m", "lanekeeper.lab.stage", str(folder.launch)]
    pid = process.spawn(stage, folder.path, folder.qemu_log)
    wait_ready(folder, pid)
    return pid, round(time.monotonic() - began, 1)


def prepare(wanted: Wanted, folder: LabFolder, choice: Acceleration) -> LabSpec:
    """Put everything into the lab's folder that QEMU and its stage program read."""
    spec = LabSpec(
        name=wanted.name,
        kernel=wanted.cache.vmlinuz(),
        initramfs=folder.path / "initramfs.img",
        tree=folder.path / "tree",
        folder=folder.path,
        busybox=wanted.cache.busybox,
        disk=folder.disk,
        drive=folder.drive,
        controller_port=wanted.controller_port,
        acceleration=choice,
        memory_mib=wanted.memory_mib,
        has_x2apic=emulator.has_x2apic(),
        other=LabFolder(wanted.cable_to, wanted.state).path if wanted.cable_to else None,
    )
    spec.tree.mkdir(exist_ok=True)
    # The lab host cannot keep what it compiles, and would do it again at every start.
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)
    (folder.path / "empty").mkdir(exist_ok=True)
    disk.make(spec.disk)
    disk.make_blank(spec.drive, disk.DRIVE_MIB)
    base = initramfs.build(wanted.cache).read_bytes()
    write_whole(spec.initramfs, pad(base) + settings(wanted, spec))
    opened = [*own_folders(), wanted.cache.root.resolve(), *wanted.opened]
    told = {
        "tree": str(spec.tree),
        "empty": str(folder.path / "empty"),
        "opened": sorted({str(path.resolve()) for path in opened}),
        "argv": arguments(spec),
    }
    write_whole(folder.launch, json.dumps(told).encode())
    return spec


def settings(wanted: Wanted, spec: LabSpec) -> bytes:
    """Write what the lab host has to know as a second archive behind its initramfs.

    A kernel argument would not do: paths may hold spaces.
    """
    values = {
        "LAB_NAME": spec.name,
        "LAB_MACHINE_ID": spec.machine_id,
        "LAB_CACHE": str(wanted.cache.root.resolve()),
        "LAB_MODULES": str(modules.build(wanted.cache).resolve()),
        "LAB_PYTHON": sys.executable,
        "PYTHONPATH": str(source_folder()),
    }
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    return cpio.archive([cpio.file("lab.env", text.encode())])


def pad(data: bytes) -> bytes:
    """Fill up to where the kernel looks for a further archive."""
    return data + bytes(-len(data) % cpio.ALIGNMENT)


def source_folder() -> Path:
    """The folder that this package is imported from."""
    return Path(__file__).resolve().parents[2]


def own_folders() -> list[Path]:
    """Folders that the lab host needs to run this very program: source, Python, environment."""
    source = source_folder()
    project = source.parent if (source.parent / "pyproject.toml").exists() else source
    python = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent]
    return [project, *(path for path in python if path not in {Path("/"), Path("/usr")})]


def wait_ready(folder: LabFolder, pid: int) -> None:
    """Wait until the lab host answers and is done with booting. Raises HostFault."""
    channel, deadline = Channel(folder.path), time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if not process.alive(pid):
            logs = [ending.tail(folder.console), ending.tail(folder.qemu_log)]
            said = ending.panic_told(folder) or "\n".join(logs)
            raise HostFault(f"the lab host ended while it started: {said}")
        if FAILURE in (said := ending.tail(folder.console)):
            raise HostFault(f"the lab host could not start: {said}")
        status = answers(channel, timeout_s=5)
        if status and status["ready"]:
            return
        time.sleep(POLL_S)
    said = ending.panic_told(folder) or ending.tail(folder.console)
    raise Hangs(f"not ready after {READY_TIMEOUT_S:.0f} s: {said}")


def kvm_inside(folder: LabFolder) -> bool:
    """Say whether nested guests will run."""
    return bool(Channel(folder.path).ask("status")["kvm"])


def down(name: str, state: Path = DEFAULT_STATE) -> bool:
    """End a lab and remove all of it; False when there was none. Done already is done.

    Raises:
        HostFault: a process of it would not end.
    """
    folder = LabFolder(name, state)
    if not folder.path.exists():
        return False
    if os.geteuid() != 0:
        raise Forbidden("root is needed to end a lab")
    end_starter(folder)
    clean(folder)
    return True


def end_starter(folder: LabFolder) -> None:
    """End an ``up`` that is still at it; it cleans up after itself if it can."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = folder.starter() if folder.is_locked() else None
        if pid is None or pid == os.getpid():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        process.wait_gone([pid], time.monotonic() + STARTER_PATIENCE_S)


def is_abandoned(folder: LabFolder) -> bool:
    """Say whether a lab was there, of which nothing runs any more."""
    exists = folder.path.exists() and not folder.is_locked()
    return exists and not any(process.marked(folder.path))


def clean(folder: LabFolder) -> None:
    """End what runs and remove what lies there. Mounts end with QEMU: it alone could see them."""
    process.end_all(folder.path)
    shutil.rmtree(folder.path, ignore_errors=True)
    with suppress(OSError):  # other labs live there, or it was somebody's own directory
        if folder.path.parent == DEFAULT_STATE:
            folder.path.parent.rmdir()


def channel(name: str, state: Path = DEFAULT_STATE) -> Channel:
    """Talk to a lab that runs. Raises Unavailable when there is none."""
    folder = LabFolder(name, state)
    if not folder.path.exists():
        raise Unavailable(f"there is no lab {name}", hint=f"run: lanekeeper lab up --name {name}")
    return Channel(folder.path)

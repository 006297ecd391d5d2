"""The folder of one lab: what is in it while the lab lives; nothing is left of it afterwards.

lock held on the folder itself while ``up`` or ``reboot`` works
up.json        who is starting the lab, or starting it again
launch.json    what the stage program was told
lab.json       what runs: written once the lab is ready
initramfs.img  the lab host's, with this lab's name in it
disk.img       what the lab host wrote
drive.img      what its NVMe drive holds
port0 …        command ports (Unix sockets), port0.lock … who uses them
cable1, cable2 where another lab's cards are cabled to this one's
console.log    the lab host's serial console;  qemu.log  what QEMU itself said
panic.log      the console of the last start that ended in a panic of the kernel
tree, empty    what the lab host sees is mounted there, in QEMU's mount namespace only
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, Unavailable
from lanekeeper.lab.cache import write_whole

DEFAULT_STATE = Path("/run/lanekeeper-lab")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# sockaddr_un holds 108 bytes with the final zero; the longest name in a lab's folder is port7.lock.
FOLDER_BYTES_MAX = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A lab that got ready.

    Attributes:
        pid: of QEMU.
        boot_s: seconds from QEMU's start until the lab host's commands ran and udev was done.
        libvirt_s: seconds that libvirt took to answer; None when it was not started.
        cabled_to: the lab whose cards this one's are cabled to.
    """

    name: str
    pid: int
    acceleration: str
    controller_port: int
    memory_mib: int
    boot_s: float
    libvirt_s: float | None = None
    cabled_to: str | None = None


class LabFolder:
    """The folder of the lab called *name* below *state*.

    Raises:
        Invalid: the name is none, or the path is too long for a Unix socket.
    """

    def __init__(self, name: str, state: Path = DEFAULT_STATE) -> None:
        if not NAME.fullmatch(name):
            raise Invalid(
                f"lab name {name!r}: lower-case letters, digits and hyphens are allowed,"
                " a letter first, 31 at most"
            )
        self.name = name
        self.path = state.absolute() / name
        if len(os.fsencode(self.path)) > FOLDER_BYTES_MAX:
            raise Invalid(
                f"state directory {state} is too long for a Unix socket in it",
                hint=f"choose one of at most {FOLDER_BYTES_MAX - len(name) - 1} bytes",
            )

    @property
    def launch(self) -> Path:
        return self.path / "launch.json"

    @property
    def disk(self) -> Path:
        return self.path / "disk.img"

    @property
    def drive(self) -> Path:
        return self.path / "drive.img"

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def panic_log(self) -> Path:
        return self.path / "panic.log"

    @property
    def qemu_log(self) -> Path:
        return self.path / "qemu.log"

    def create(self) -> None:
        """Make the folder, for root only.

        Raises:
            Conflict: it is there: a lab of that name runs, or ended without ``lab down``.
            Forbidden: not root.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
        except FileExistsError as error:
            raise Conflict(
                f"lab {self.name} is there already: {self.path}",
                hint=f"run: lanekeeper lab down --name {self.name}",
            ) from error
        except PermissionError as error:
            raise Forbidden(f"root is needed to make {self.path}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; whoever is killed loses it. Raises Unavailable, Conflict."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Unavailable(f"there is no lab {self.name}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Conflict(f"lab {self.name} is being started or ended") from error
        try:
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Say whether somebody is starting the lab right now."""
        try:
            with self.locked():
                return False
        except Unavailable:
            return False
        except Conflict:
            return True

    def remember(self, running: Running) -> None:
        """Write down that the lab is ready."""
        write_whole(self.path / "lab.json", json.dumps(asdict(running)).encode())

    def running(self) -> Running | None:
        """Read what was written down; None when the lab never got ready."""
        with suppress(OSError, ValueError, TypeError):
            return Running(**json.loads((self.path / "lab.json").read_text(encoding="utf-8")))
        return None

    def remember_starter(self) -> None:
        """Write down which process is starting the lab."""
        text = json.dumps({"pid": os.getpid(), "started": started(os.getpid())})
        write_whole(self.path / "up.json", text.encode())

    def starter(self) -> int | None:
        """The process that is starting the lab, if it still is the same one."""
        with suppress(OSError, ValueError, KeyError):
            known = json.loads((self.path / "up.json").read_text(encoding="utf-8"))
            if started(known["pid"]) == known["started"]:
                return int(known["pid"])
        return None


def started(pid: int) -> str | None:
    """When *pid* started, in clock ticks since boot: with the id it names a process for good."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]  # proc_pid_stat(5), field 22; two are cut off

"""Boot loaders of distributions as files, and what their programs do to them.

The programs do what is said of them in their manuals, no more; GRUB's own run in
``test_real_grub.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from host.carry import apply, rollback
from host.planted import snapshot
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.grub_variables import read_variables
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.step import Plan
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.facts import read_host
from lanekeeper.host.outcome import Outcome
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.tree import plant

BARE = """\
sys/bus/pci/devices /
proc/cmdline = root=/dev/vda1 ro
etc/default /
usr/sbin /
"""
DEBIAN = r"""
usr/sbin/update-grub .
usr/sbin/grub-mkconfig .
etc/grub.d/10_linux .
boot/grub/grub.cfg = menuentry 'Debian' {\n\tlinux /vmlinuz root=/dev/vda1 console=ttyS0\n}
etc/default/grub = GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""
etc/default/grub.d/50-cloud.cfg = GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"
"""
RED_HAT_7 = r"""
usr/sbin/grub2-mkconfig .
usr/sbin/grubby .
etc/grub.d/10_linux .
boot/grub2/grubenv = saved_entry=plain
boot/grub2/grub.cfg = menuentry 'R' {\n\tlinux16 /v root=/dev/vda1 crashkernel=auto iommu=nopt\n}
etc/default/grub =| GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="crashkernel=auto iommu=nopt"
"""
RED_HAT_9 = r"""
usr/sbin/grubby .
usr/sbin/grub2-mkconfig .
etc/default/grub = GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="quiet"\nGRUB_ENABLE_BLSCFG=true
boot/grub2/grubenv = kernelopts=root=/dev/vda1 ro quiet
boot/loader/entries/1-5.14.conf = linux /vmlinuz-5.14\noptions  root=/dev/vda1 ro  quiet
boot/loader/entries/1-0-rescue.conf = linux /vmlinuz-0\noptions  root=/dev/vda1 ro  quiet
"""
SYSTEMD_BOOT = r"""
efi/loader/loader.conf = timeout 3
efi/loader/entries/1-6.12.conf = linux /vmlinuz\noptions root=/dev/vda1\noptions rw iommu=nopt
efi/loader/entries/2-mine.conf =| title Mine\nlinux /vmlinuz
etc/kernel/cmdline =| root=/dev/vda1 rw
"""


class Distribution:
    """One of them, planted; *ran* is every program that was asked for."""

    def __init__(self, root: Path, tree: str) -> None:
        self.root = plant(BARE + tree.replace(" .\n", " = \n"), root)
        self.ran: list[str] = []

    def plan(self, *arguments: str, entry: str = "every") -> Plan:
        return plan(policy(*arguments, entry=entry), read_host(self.root))

    def apply(self, *arguments: str, entry: str = "every") -> Outcome | None:
        found = self.plan(*arguments, entry=entry)
        assert found.refusals == ()
        return apply(found.steps, self._actor(), self.root / journal.DIRECTORY)

    def rollback(self) -> Outcome | None:
        return rollback(self._actor(), self.root / journal.DIRECTORY)

    def state(self) -> dict[str, str]:
        return snapshot(self.root)

    def text(self, name: str) -> str:
        return (self.root / name).read_text()

    def _actor(self) -> Actor:
        return Actor(self.root, SimulatedMachine(self.root), self._run)

    def _run(self, command: Sequence[str]) -> None:
        self.ran.append(" ".join(command))
        match list(command):
            case ["update-grub"]:
                self._make_menu()
            case ["grub2-mkconfig" | "grubby", *_]:
                SimulatedMachine(self.root).run(command)
            case ["grub-set-default", entry]:
                (self.root / "boot/grub/grubenv").write_text(f"saved_entry={entry}\n")
            case ["grub-editenv", "-", "unset", "saved_entry"]:
                (self.root / "boot/grub/grubenv").unlink()  # an empty one says the same
            case ["grub2-editenv", "-", "unset", "saved_entry"]:
                (self.root / "boot/grub2/grubenv").write_text("")
            case ["grub2-set-default", entry]:
                (self.root / "boot/grub2/grubenv").write_text(f"saved_entry={entry}\n")
            case _:
                raise HostFault(f"no {command[0]} here")

    def _make_menu(self) -> None:
        files = [self.root / "etc/default/grub"]
        files += sorted((self.root / "etc/default").glob("grub.d/*.cfg"))
        found = read_variables([file.read_text() for file in files])
        words = [found.get(f"GRUB_CMDLINE_LINUX{end}", "") for end in ("", "_DEFAULT")]
        menu = self.root / "boot/grub/grub.cfg"
        name = menu.read_text().split("'")[1]
        kernel, image = menu.read_text().split()[3:5]
        given = " ".join(" ".join(words).split())
        line = f"\t{kernel} {image} root=/dev/vda1 {given}"
        menu.write_text(f"menuentry '{name}' {{\n{line}\n}}\n")


def policy(*arguments: str, entry: str = "every") -> Policy:
    """Return a policy that wants *arguments* and nothing else."""
    document = {"version": 1, "persist": False, "kernel_arguments": list(arguments)}
    return parse_policy({**document, "boot": {"entry": entry}})

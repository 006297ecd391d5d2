"""The lab host's boot menu, from which its next kernel gets its arguments.

QEMU starts the kernel itself, so there is no boot loader in the lab. Its settings are there all the
same, as Debian keeps them: ``/etc/default/grub`` and its drop-ins, from which ``update-grub`` makes
the menu. A reboot reads what the menu says then.
"""

from __future__ import annotations

import re

from lanekeeper.domain.errors import Invalid

MENU = "/boot/grub/grub.cfg"
ALWAYS = (
    "console=ttyS0 mitigations=off panic=5 no_timer_check tsc=reliable"
    " init_on_alloc=0 randomize_kstack_offset=off apparmor=0 numa_balancing=disable"
)
"""Without ``no_timer_check`` a busy emulator can be too slow for the kernel's look whether the
timer's interrupt comes through the remapped IO-APIC, and the kernel gives up. Without
``tsc=reliable`` it takes a late look at the clock for a broken clock, and reads a far slower one
ever after. The rest is what a hardened kernel does at each system call, each allocation and each
file, and the unmapping of memory to see which node asks for it: all of it for nothing here.

Source: Linux, ``Documentation/admin-guide/kernel-parameters.txt``, no_timer_check.
"""
DEFAULT = "quiet intel_iommu=on iommu=pt"

_KERNEL = re.compile(r"^[ \t]*linux[ \t]+\S+[ \t]*(.*)$", re.MULTILINE)


def kernel_arguments(menu: str) -> str:
    """Return the arguments of the menu's first entry.

    Raises:
        Invalid: no entry starts a kernel.
    """
    found = _KERNEL.search(menu)
    if found is None:
        raise Invalid(
            f"{MENU} of the lab host has no line `linux KERNEL ARGUMENTS`",
            hint="run update-grub in it",
        )
    return " ".join(found[1].split())

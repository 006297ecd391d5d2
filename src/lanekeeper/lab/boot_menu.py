"""The lab host's boot menu, from which its next kernel gets its arguments.

QEMU starts the kernel itself, so there is no boot loader in the lab. Its settings are there all the
same, as Debian keeps them: ``/etc/default/grub`` and its drop-ins, from which ``update-grub`` makes
the menu. A reboot reads what the menu says then.
"""

from __future__ import annotations

import re

from lanekeeper.domain.errors import Invalid

MENU = "/boot/grub/grub.cfg"
ALWAYS = "console=ttyS0 mitigations=off panic=5"
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

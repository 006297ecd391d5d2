"""Kernel arguments: those of the running kernel, and those the boot loader will give the next.

Source: GNU GRUB manual, "Simple configuration handling"; Debian's grub-mkconfig reads
``/etc/default/grub`` and then ``/etc/default/grub.d/*.cfg`` as shell.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.host.attribute import names, read_text

_SETTINGS = "etc/default/grub"
_DROP_INS = "etc/default/grub.d"
_UPDATE = "usr/sbin/update-grub"
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class BootLoader:
    """What is known of it.

    Attributes:
        arguments: of its plain menu entry; None when no boot loader that is known is there.
        files: what was read or looked for, relative to the root.
        can_update: whether its menu can be made anew.
    """

    arguments: tuple[str, ...] | None
    files: tuple[str, ...]
    can_update: bool


def read_boot_loader(root: Path) -> BootLoader:
    """Look for GRUB's settings below *root*. Raises HostFault."""
    drop_ins = [name for name in names(str(root / _DROP_INS)) if name.endswith(".cfg")]
    files = (_SETTINGS, *(f"{_DROP_INS}/{name}" for name in drop_ins))
    texts = [read_text(str(root / name)) for name in files]
    if all(text is None for text in texts):
        return BootLoader(None, files, can_update=False)
    variables: dict[str, str] = {}
    for text in texts:
        _source(text or "", variables)
    common = variables.get("GRUB_CMDLINE_LINUX", "")
    usual = variables.get("GRUB_CMDLINE_LINUX_DEFAULT", "")
    return BootLoader(
        tuple(f"{common} {usual}".split()), files, can_update=(root / _UPDATE).exists()
    )


def read_command_line(root: Path) -> tuple[str, ...]:
    """Return the running kernel's arguments. Raises HostFault."""
    return tuple((read_text(str(root / "proc/cmdline")) or "").split())


def _source(text: str, variables: dict[str, str]) -> None:
    """Follow plain assignments as a shell would; anything cleverer is passed over."""
    for line in text.replace("\\\n", "").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words[1:] if words[:1] == ["export"] else words:
            found = _ASSIGNMENT.fullmatch(word)
            if found is None:
                break
            value = _VARIABLE.sub(lambda name: variables.get(name[1] or name[2], ""), found[3])
            before = variables.get(found[1], "") if found[2] else ""
            variables[found[1]] = before + value

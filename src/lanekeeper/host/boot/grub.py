"""GRUB: its settings, the menu that is made from them, and what it keeps between boots.

Source: GNU GRUB manual, "Simple configuration handling" and "The GRUB environment block";
Debian's grub-mkconfig reads ``/etc/default/grub`` and then ``/etc/default/grub.d/*.cfg`` as shell.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from lanekeeper.host.attribute import names, read_lines, read_text
from lanekeeper.host.text_line import matching

SETTINGS = "etc/default/grub"
SCRIPTS = "etc/grub.d"
_DROP_INS = "etc/default/grub.d"
_UPDATE = "usr/sbin/update-grub"
_MAKERS = ("usr/sbin/grub2-mkconfig", "usr/sbin/grub-mkconfig", "usr/bin/grub-mkconfig")
_ENVIRONMENTS = ("boot/grub2/grubenv", "boot/grub/grubenv", "boot/efi/EFI/*/grubenv")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\udc80-\udcff]")  # as surrogateescape reads bytes
_ONE_SETTING = 64  # lines; what is quoted over more was meant to end before
_KERNEL = re.compile(r"\s*linux(?:16|efi)?\s+\S+(.*)")


def setting_files(root: Path) -> tuple[str, ...]:
    """Return the settings and their drop-ins, in the order they are read."""
    drop_ins = [name for name in names(str(root / _DROP_INS)) if name.endswith(".cfg")]
    return (SETTINGS, *(f"{_DROP_INS}/{name}" for name in drop_ins))


def damage(name: str, text: str) -> str:
    """Say what keeps a shell from reading the settings in file *name*, with the line; else empty.

    What it would make of the rest nobody can tell, so nothing is to be added there.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if _NO_TEXT.search(line):
            return f"/{name}:{number} is to be mended first, it is no text"
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        ends = range(at + 1, min(at + _ONE_SETTING, len(lines)) + 1)
        end = next((to for to in ends if _is_whole(lines[at:to])), None)
        if end is None:
            what = f"a quote that is not closed: {lines[at]:.60}"
            return f"/{name}:{at + 1} is to be mended first, it has {what}"
        at = end
    return ""


def _is_whole(lines: list[str]) -> bool:
    try:
        shlex.split("".join(f"{line}\n" for line in lines), comments=True)
    except ValueError:
        return False
    return True


def reads_drop_ins(root: Path) -> bool:
    """Whether this GRUB reads drop-ins, which Debian has taught it and upstream has not.

    The maker of the menu is a script and says so itself; a captured one is without its text, and
    there a directory for drop-ins speaks for them.
    """
    if (root / _UPDATE).exists():
        return True
    makers = [name for name in _MAKERS if (root / name).exists()]
    if not makers:
        return True
    if script := read_text(str(root / makers[0])):
        return _DROP_INS in script
    return (root / _DROP_INS).is_dir()


def has_maker(root: Path) -> bool:
    """Whether a program is installed that makes the menu."""
    return any((root / name).exists() for name in (_UPDATE, *_MAKERS))


def update_command(root: Path) -> tuple[str, ...] | None:
    """Return the command that makes the menu anew; None when it is not installed."""
    if (root / _UPDATE).exists():
        return ("update-grub",)
    maker = next((name for name in _MAKERS if (root / name).exists()), None)
    menus = menu_files(root)
    if maker is None or len(menus) != 1:
        return None
    return maker.rpartition("/")[2], "-o", f"/{menus[0]}"


def menu_files(root: Path) -> tuple[str, ...]:
    """Return where the menu lies; more than one when that cannot be told.

    With UEFI, Red Hat 7 keeps it on the ESP; where the file there only names another, as on
    Debian and later releases, that other is meant. Of an image nobody knows whether it starts by
    UEFI; a menu on its ESP is the one where it is the only one.
    """
    plain = tuple(matching(root, ("boot/grub2/grub.cfg", "boot/grub/grub.cfg")))
    if plain and not (root / "sys/firmware/efi").is_dir():
        return plain
    on_esp = matching(root, ("boot/efi/EFI/*/grub.cfg",))
    whole = tuple(n for n in on_esp if "configfile" not in (read_text(str(root / n)) or ""))
    return whole or plain


def read_menu(root: Path) -> tuple[str, ...] | None:
    """Return the arguments of the menu's first entry; None when there is none to be read.

    Only root may read it on most distributions, and a plan is good without it.
    """
    for name in menu_files(root)[:1]:
        if not os.access(root / name, os.R_OK):
            return None
        for line in read_lines(str(root / name)):
            found = _KERNEL.fullmatch(line)
            if found:
                return tuple(found[1].split())
    return None


def read_environment(root: Path) -> dict[str, str]:
    """Return what GRUB keeps: ``saved_entry``, and ``kernelopts`` on Red Hat 8."""
    for name in matching(root, _ENVIRONMENTS):
        if os.access(root / name, os.R_OK):
            lines = (line.partition("=") for line in read_lines(str(root / name)))
            return {key: value for key, sign, value in lines if sign}
    return {}

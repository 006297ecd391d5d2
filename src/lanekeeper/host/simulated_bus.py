"""The simulated machine's bus while the machine is off: cards are exchanged, buses called anew.

What firmware does at the next start of a real host happens here at once, in the directory that is
the machine. Nobody may use the directory meanwhile.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.attribute import names

_EXTENDED_AT = 0x100
_HEADER = 0x0001_0003  # Linux pci_regs.h: PCI_EXT_CAP_ID_DSN, version 1, no other after it
_SERIAL_BYTES = 8
_PARTS = ("sys", "simulated")
_NEW = ".renumbered"
"""Marks what has its new name, while another may still have that."""


def insert_card(root: Path, pf: PciAddress, serial: str) -> None:
    """Have the card at *pf* say that it is the one with this serial number.

    Args:
        root: the directory that is the machine.
        pf: where it sits.
        serial: eight bytes, as ``00-1b-21-ff-ff-aa-01-01``.

    Raises:
        Invalid: *serial* is something else.
        NotFound: there is no card.

    Source: PCI Express Base Specification, Device Serial Number capability.
    """
    try:
        number = bytes.fromhex(serial.replace("-", ""))
    except ValueError:
        number = b""
    if len(number) != _SERIAL_BYTES or number.hex("-") != serial:
        raise Invalid(f"{serial[:40]!r} is not eight bytes like 00-1b-21-ff-ff-aa-01-01")
    home = root / "sys/bus/pci/devices" / str(pf)
    if not home.exists():
        raise NotFound(f"no function sits at {pf}")
    capability = _HEADER.to_bytes(4, "little") + number[::-1]
    (home / "config").write_bytes(bytes(_EXTENDED_AT) + capability)


def renumber(root: Path, buses: Mapping[str, str]) -> None:
    """Call buses otherwise, all at once: ``{"0000:21": "0000:41", "0000:41": "0000:21"}``.

    Raises:
        Invalid: two buses would have one name, or one of them is not there.
    """
    there = {name.rpartition(":")[0] for name in names(str(root / "sys/bus/pci/devices"))}
    missing = sorted(buses.keys() - there)
    if missing:
        raise Invalid(f"there is no bus {missing[0]}; there are {', '.join(sorted(there))}")
    after = sorted(buses.get(name, name) for name in there)
    twice = [name for name, following in itertools.pairwise(after) if name == following]
    if twice:
        raise Invalid(f"two buses would be called {twice[0]}")
    pattern = re.compile(rf"(?:{'|'.join(map(re.escape, buses))})(?=:[0-9a-f]{{2}}\.[0-7])")

    def anew(text: str) -> str:
        return pattern.sub(lambda found: buses[found[0]], text)

    for part in _PARTS:
        for path in _deepest_first(root / part):
            _call_anew(path, anew)
    for part in _PARTS:
        for path in _deepest_first(root / part):
            if path.name.endswith(_NEW):
                path.rename(path.with_name(path.name.removesuffix(_NEW)))


def _deepest_first(home: Path) -> list[Path]:
    """All below *home*, links not followed, what is in a directory before the directory."""
    return sorted(home.rglob("*"), key=lambda path: len(path.parts), reverse=True)


def _call_anew(path: Path, anew: Callable[[str], str]) -> None:
    if path.is_symlink():
        target = str(path.readlink())
        path.unlink()
        path.symlink_to(anew(target))
    elif path.name == "uevent":
        path.write_text(anew(path.read_text()))
    name = anew(path.name)
    if name != path.name:
        path.rename(path.with_name(name + _NEW))

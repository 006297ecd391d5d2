"""Single files of a PCI function in sysfs, each read strictly: what makes no sense is a fault.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci``.
"""

from __future__ import annotations

import re

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.host.attribute import link_way, read_attribute, read_text, whole

_CLASS_AND_ID = re.compile(
    rb"^PCI_CLASS=([0-9A-F]{1,6})\nPCI_ID=([0-9A-F]{4}):([0-9A-F]{4})$", re.MULTILINE
)
_PCI_ID = re.compile(rb"^PCI_ID=([0-9A-F]{4}):([0-9A-F]{4})$", re.MULTILINE)
_PCI_CLASS = re.compile(rb"^PCI_CLASS=([0-9A-F]{1,6})$", re.MULTILINE)
_ID_MAX, _CLASS_MAX = 0xFFFF, 0xFFFFFF
_ID_FILES = (("vendor", _ID_MAX), ("device", _ID_MAX), ("class", _CLASS_MAX))


def identity(home: str, name: str) -> tuple[int, int, int]:
    """Return vendor, product and class; from ``uevent`` because that is one file, not three.

    Raises NotFound, HostFault.
    """
    uevent = read_attribute(f"{home}/uevent") or b""
    both = _CLASS_AND_ID.search(uevent)
    if both:
        return int(both[2], 16), int(both[3], 16), int(both[1], 16)
    ids, class_code = _PCI_ID.search(uevent), _PCI_CLASS.search(uevent)
    if ids and class_code:
        return int(ids[1], 16), int(ids[2], 16), int(class_code[1], 16)
    vendor, product = read_text(f"{home}/vendor"), read_text(f"{home}/device")
    if vendor is None or product is None:
        raise NotFound(f"no PCI function at {name}: its link leads nowhere, or it has no ids")
    code = read_text(f"{home}/class") or "0"
    return (
        _id(vendor, "vendor", _ID_MAX),
        _id(product, "device", _ID_MAX),
        _id(code, "class", _CLASS_MAX),
    )


def require_ids(home: str) -> None:
    """Look at the ids that stand in files of their own too: who mends a card reads these.

    Raises HostFault.
    """
    for attribute, most in _ID_FILES:
        text = read_attribute(f"{home}/{attribute}")
        if text is not None:
            _id(text.decode("utf-8", "replace").strip(), attribute, most)


def driver_of(home: str) -> str | None:
    """Return the driver's name; a link that leads to no driver names none. Raises HostFault."""
    way = link_way(f"{home}/driver")
    if not way:
        return None
    above, _, name = way.rpartition("/")
    if above.rpartition("/")[2] != "drivers" or not name:
        raise HostFault(f"driver leads to {way[:60]!r}, which is no driver")
    return name


def read_autoprobe(home: str) -> bool | None:
    """Return whether drivers take VFs as they appear; None for what is no PF. Raises HostFault."""
    data = read_attribute(f"{home}/sriov_drivers_autoprobe")
    text = None if data is None else data.decode("utf-8", "replace").strip()
    if text not in (None, "0", "1"):
        raise HostFault(f"sriov_drivers_autoprobe is {text[:40]!r}, neither 0 nor 1")
    return None if text is None else text == "1"


def _id(text: str, attribute: str, most: int) -> int:
    read = whole(text, attribute, 16)
    if not 0 <= read <= most:
        raise HostFault(f"{attribute} is {text[:40]!r}, not within 0x0 to {most:#x}")
    return read


def number(home: str, attribute: str, least: int, most: int, absent: int = 0) -> int:
    """Return a number; *absent* for no file. Raises HostFault."""
    data = read_attribute(f"{home}/{attribute}")
    if data is None:
        return absent
    text = data.decode("utf-8", "replace").strip()
    read = whole(text, attribute)
    if not least <= read <= most:
        raise HostFault(f"{attribute} is {text[:40]!r}, not within {least} to {most}")
    return read

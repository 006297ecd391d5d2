"""What is wanted of VFs: one wish for all of a PF, and others for ranges of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.purpose import Purpose, read_purpose
from lanekeeper.domain.hostplan.policy.reading import (
    VFS_MAX,
    PolicyInvalid,
    read_flag,
    read_list,
    read_mapping,
    read_text,
)
from lanekeeper.domain.pci.device_spec import DeviceSpec

STABLE = "stable"
TAGS = (
    *("resource_class", "traits", "trusted", "remote_managed"),
    *("live_migratable", "managed", "one_time_use"),
)
"""Keys of a ``device_spec`` that say something of devices, rather than select them."""
WISHES = ("vf_driver", "physical_network", "alias", "tags", "mac", "trust", "spoofchk")

DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE | re.ASCII)
RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_GROUP_BIT, _LOCAL_BIT = 0x01, 0x02  # IEEE 802, of the first byte
_RANGES_MAX = 256


class VfDriver(StrEnum):
    """What becomes of new VFs when no driver is named."""

    NONE = "none"  # left without a driver, ready for guests
    AUTO = "auto"  # the kernel's own choice takes them


@dataclass(frozen=True, slots=True, kw_only=True)
class VfWish:
    """What a VF is to be; None leaves a setting as it is.

    Attributes:
        vf_driver: a driver's name, or what ``VfDriver`` offers.
        tags: of its ``device_spec``, by key.
        mac: ``stable``, or the address of the first VF; those after it count up.
    """

    vf_driver: str | None = None
    purpose: Purpose | None = None
    tags: tuple[tuple[str, str], ...] = ()
    mac: str | None = None
    trust: bool | None = None
    spoofchk: bool | None = None

    def over(self, other: VfWish) -> VfWish:
        """Return this wish, with what it leaves open as *other* has it; tags add up by key."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        given = {name: value for name, value in given.items() if value not in (None, ())}
        tags = tuple({**dict(other.tags), **dict(self.tags)}.items())
        return replace(other, **{**given, "tags": tags})

    @property
    def named_driver(self) -> str | None:
        return None if self.vf_driver in {None, *VfDriver} else self.vf_driver

    @property
    def is_auto(self) -> bool:
        return self.vf_driver == VfDriver.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class VfRange:
    """VFs *first* to *last*, and what is wanted of them beside their PF's wish."""

    path: str
    first: int
    last: int
    wish: VfWish

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def mac_of(rule: str, pf_mac: str | None, index: int, place: int) -> str | None:
    """Return the address that *rule* gives VF *index*, the *place*-th that the rule holds for.

    ``stable`` makes one of the PF's own address and the index: the same after every reboot, and
    on every host another. Addresses that count up from the PF's would meet those of the card's
    next port. None when the PF has no address.
    """
    if rule != STABLE:
        return (int(rule.replace(":", ""), 16) + place).to_bytes(6, "big").hex(":")
    if pf_mac is None:
        return None
    made = hashlib.sha256(f"{pf_mac.lower()} {index}".encode()).digest()[:6]
    first = made[0] & ~_GROUP_BIT & 0xFF | _LOCAL_BIT
    return (bytes([first]) + made[1:]).hex(":")


def read_wish(given: Mapping[str, Any], path: str, vfs: int) -> VfWish:
    """Read the wish in *given*, for *vfs* VFs. Raises PolicyInvalid."""
    driver, mac = given.get("vf_driver"), given.get("mac")
    right = "none, auto or a driver's name"
    with Problems() as problems:
        if driver is not None:
            driver = problems.read(read_text, driver, f"{path}.vf_driver", DRIVER, right)
        flags = {
            name: problems.read(read_flag, given[name], f"{path}.{name}")
            for name in ("trust", "spoofchk")
            if given.get(name) is not None
        }
        return VfWish(
            vf_driver=driver,
            purpose=problems.read(read_purpose, given, path),
            tags=problems.read(read_tags, given.get("tags"), f"{path}.tags"),
            mac=None if mac is None else problems.read(_mac, mac, f"{path}.mac", vfs),
            **flags,
        )


def read_ranges(value: object, path: str, vfs: int) -> tuple[VfRange, ...]:
    """Read the ranges of a PF with *vfs* VFs. Raises PolicyInvalid."""
    entries = enumerate(read_list(value, path, _RANGES_MAX))
    with Problems() as problems:
        found = [problems.read(_range, entry, f"{path}[{at}]", vfs) for at, entry in entries]
    _refuse_overlaps(found)
    return tuple(found)


def _range(entry: object, path: str, vfs: int) -> VfRange:
    with Problems() as problems:
        given = problems.mapping(entry, path, ("vfs", *WISHES))
        whole = problems.read(_first_and_last, given.get("vfs"), f"{path}.vfs", vfs)
        first, last = whole or (0, 0)
        wish = problems.read(read_wish, given, path, last - first + 1)
    return VfRange(path=path, first=first, last=last, wish=wish)


def _first_and_last(value: object, where: str, vfs: int) -> tuple[int, int]:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = RANGE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise PolicyInvalid(where, f"is {value!r:.60}", hint='vfs: "0-3", or one: vfs: 4')
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise PolicyInvalid(where, f"ends before it begins: {value}", hint=f"{last}-{first}")
    if last >= vfs:
        there = f"0-{vfs - 1}" if vfs else "none, since vfs is 0"
        raise PolicyInvalid(where, f"{value} is beyond the PF's {vfs} VFs", hint=f"VFs: {there}")
    return first, last


def _refuse_overlaps(ranges: Sequence[VfRange]) -> None:
    ordered = sorted(ranges, key=lambda each: (each.first, each.last))
    for one, other in pairwise(ordered):
        if other.first <= one.last:
            later = max(one, other, key=ranges.index)
            former = other if later is one else one
            message = f"{later} overlaps {former} of {former.path}"
            raise PolicyInvalid(f"{later.path}.vfs", message, hint="let one range hold each VF")


def read_tags(value: object, path: str) -> tuple[tuple[str, str], ...]:
    """Read keys of a ``device_spec``. Raises PolicyInvalid."""
    given = dict(read_mapping({} if value is None else value, path, TAGS))
    if isinstance(given.get("traits"), list):
        given["traits"] = ",".join(map(str, given["traits"]))
    try:
        spec = DeviceSpec.parse(given, strict=True)
    except Invalid as error:
        raise PolicyInvalid(path, str(error), hint=error.hint) from error
    return tuple(spec.tags.items())


def _mac(value: object, path: str, vfs: int) -> str:
    hint = f'{STABLE}, or a first address in quotes: mac: "02:00:00:00:10:00"'
    if value == STABLE:
        return STABLE
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=hint)
    number = int(value.replace(":", ""), 16)
    if number >> 40 & _GROUP_BIT:
        raise PolicyInvalid(path, f"{value} is a group address", hint=hint)
    if not number or (number + max(vfs, 1) - 1) >> 24 != number >> 24:
        message = f"{value} leaves no room for {min(vfs, VFS_MAX)} addresses in its last 24 bits"
        raise PolicyInvalid(path, message, hint="begin lower")
    return value.lower()

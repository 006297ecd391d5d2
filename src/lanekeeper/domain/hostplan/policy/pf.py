"""What one entry of ``pfs`` wants of one PF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.hostplan.policy.reading import (
    VFS_MAX,
    PolicyInvalid,
    read_count,
    read_flag,
    read_text,
    read_words,
)
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector, read_selector
from lanekeeper.domain.hostplan.policy.vf import (
    WISHES,
    VfDriver,
    VfRange,
    VfWish,
    mac_of,
    read_ranges,
    read_wish,
)
from lanekeeper.domain.pci.device import PciDevice

LEGACY, SWITCHDEV = "legacy", "switchdev"
MIGRATION_DRIVER = "mlx5_vfio_pci"

FIELDS = (
    *("pf", "vfs", *WISHES, "link", "ranges"),
    *("eswitch", "live_migration", "ovs_bridge", "allow"),
)
_EXAMPLE = {"pf": 'pf: "0000:21:00.0", or pf: {netdev: ens1}', "vfs": "vfs: 7"}
BRIDGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


class PfAllow(StrEnum):
    """What a change of the PF may do to others, since the policy says so."""

    GUESTS = "guests"


@dataclass(frozen=True, slots=True, kw_only=True)
class PfPolicy:
    """What one entry of ``pfs`` wants.

    Attributes:
        path: where the entry stands, as ``pfs[0]``.
        vf_driver: a driver's name, or what ``VfDriver`` offers.
        link_up: whether the PF's interface is set up; VF drivers need that. None leaves it.
        wish: what else is wanted of every VF. ``ranges``: what of some.
        eswitch: ``legacy`` or ``switchdev``; None leaves it.
        live_migration: VFs are made ready to travel with running guests: ConnectX-7 alone can.
        ovs_bridge: of Open vSwitch, whose ports the PF and the representors of its VFs become.
        allow: what a change of it may do to others.
    """

    path: str
    selector: DeviceSelector
    vfs: int
    purpose: Purpose | None = None
    vf_driver: str = VfDriver.NONE
    link_up: bool | None = True
    wish: VfWish = field(default_factory=VfWish)
    ranges: tuple[VfRange, ...] = ()
    eswitch: str | None = None
    live_migration: bool = False
    ovs_bridge: str | None = None
    allow: frozenset[PfAllow] = frozenset()

    def of(self, index: int) -> VfWish:
        """Return what is wanted of VF *index*."""
        whole = replace(self.wish, vf_driver=self.vf_driver, purpose=self.purpose)
        for each in self.ranges:
            if each.first <= index <= each.last:
                return each.wish.over(whole)
        return whole

    def mac(self, pf: PciDevice, index: int) -> str | None:
        """Return the address that VF *index* of *pf* is to have; None for whichever it has."""
        for each in self.ranges:
            if each.first <= index <= each.last and each.wish.mac:
                return mac_of(each.wish.mac, pf.mac, index, index - each.first)
        return self.wish.mac and mac_of(self.wish.mac, pf.mac, index, index)

    @property
    def named_driver(self) -> str | None:
        return None if self.vf_driver in set(VfDriver) else self.vf_driver

    @property
    def autoprobe(self) -> bool:
        """Whether drivers may take VFs as they appear: a switch for all VFs of a PF."""
        return self.vf_driver == VfDriver.AUTO or any(each.is_auto for each in self.wishes)

    @property
    def wishes(self) -> tuple[VfWish, ...]:
        """Every wish that holds for some VF, each once, by the first VF."""
        firsts = {0, *(each.first for each in self.ranges), *(r.last + 1 for r in self.ranges)}
        there = sorted(index for index in firsts if index < self.vfs) or [0]
        return tuple(dict.fromkeys(self.of(index) for index in there))


def read_pf(entry: object, path: str) -> PfPolicy:
    """Read one entry of ``pfs``. Raises PolicyInvalid."""
    with Problems() as problems:
        fields = problems.mapping(entry, path, FIELDS)
        for name in ("pf", "vfs"):
            if name not in fields:
                problems.note(PolicyInvalid(path, f"{name} is missing", hint=_EXAMPLE[name]))
        selector = problems.read(_selector, fields, path)
        migration = problems.read(
            read_flag, fields.get("live_migration", False), f"{path}.live_migration"
        )
        vfs = problems.read(read_count, fields.get("vfs", VFS_MAX), f"{path}.vfs")
        most = VFS_MAX if vfs is None else vfs  # what is said of VFs is read in any case
        wish = problems.read(read_wish, fields, path, 1 if vfs is None else vfs)
        link = problems.read(_link, fields.get("link", "up"), f"{path}.link")
        ranges = problems.read(read_ranges, fields.get("ranges") or [], f"{path}.ranges", most)
        eswitch = problems.read(_eswitch, fields, path, migration=bool(migration))
        bridge = problems.read(_bridge, fields.get("ovs_bridge"), f"{path}.ovs_bridge")
        allowed = problems.read(read_words, fields.get("allow") or [], f"{path}.allow", PfAllow)
    return PfPolicy(
        path=path,
        selector=selector,
        vfs=vfs,
        purpose=wish.purpose,
        vf_driver=_driver(wish, path, migration=migration),
        link_up=link,
        wish=replace(wish, purpose=None, vf_driver=None),
        ranges=ranges,
        eswitch=eswitch,
        live_migration=migration,
        ovs_bridge=bridge,
        allow=frozenset(allowed),
    )


def _selector(fields: Mapping[str, Any], path: str) -> DeviceSelector:
    return read_selector(fields["pf"], f"{path}.pf") if "pf" in fields else DeviceSelector()


def _driver(wish: VfWish, path: str, *, migration: bool) -> str:
    default = MIGRATION_DRIVER if migration else VfDriver.NONE
    if migration and wish.vf_driver not in (None, MIGRATION_DRIVER):
        message = f"is {wish.vf_driver}, which takes no VF along with a running guest"
        raise PolicyInvalid(f"{path}.vf_driver", message, hint=f"vf_driver: {MIGRATION_DRIVER}")
    return wish.vf_driver or default


def _eswitch(fields: Mapping[str, Any], path: str, *, migration: bool) -> str | None:
    value = fields.get("eswitch")
    where = f"{path}.eswitch"
    if value not in (None, LEGACY, SWITCHDEV):
        raise PolicyInvalid(where, f"is {value!r:.60}", hint=f"{LEGACY} or {SWITCHDEV}")
    if value == LEGACY and (migration or fields.get("ovs_bridge")):
        other = "live_migration" if migration else "ovs_bridge"
        message = f"is {LEGACY}, but {other} needs {SWITCHDEV}"
        raise PolicyInvalid(where, message, hint=f"eswitch: {SWITCHDEV}")
    needs = migration or fields.get("ovs_bridge") is not None
    return str(value) if value else (SWITCHDEV if needs else None)


def _bridge(value: object, path: str) -> str | None:
    return None if value is None else read_text(value, path, BRIDGE, "a bridge's name, as br-ex")


def _link(value: object, path: str) -> bool | None:
    if value in ("up", True):
        return True
    if value == "leave":
        return None
    raise PolicyInvalid(path, f"is {value!r}", hint="link: up, or link: leave")

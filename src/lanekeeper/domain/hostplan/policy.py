"""What an operator wants of one host's PFs and kernel, as its policy file says it.

A policy is read from a plain mapping; who read the file knows its lines. Each entry of ``pfs``
chooses one PF and says how many VFs it has and whom they serve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice

VERSION = 1
VFS_MAX = 65535  # TotalVFs is 16 bits wide; PCI Express Base Specification, SR-IOV capability
_ARGUMENTS_MAX = 64
_PFS_MAX = 256
_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE | re.ASCII)
_NETDEV = re.compile(r"[^\s/:]{1,15}")  # Linux net/core/dev.c, dev_valid_name()
_DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.,:/+@%=-]{1,256}")
_NAME = re.compile(r"[^\s,\"']{1,255}")


class PolicyInvalid(Invalid):
    """The policy is wrong at one place. The operator changes it.

    Attributes:
        path: where, as ``pfs[0].vfs``; empty for the whole.
    """

    def __init__(self, path: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


class VfDriver(StrEnum):
    """What becomes of new VFs when no driver is named."""

    NONE = "none"  # left without a driver, ready for guests
    AUTO = "auto"  # the kernel's own choice takes them


@dataclass(frozen=True, slots=True, kw_only=True)
class PfSelector:
    """Which PF is meant; all that is given must hold.

    Attributes:
        index: place among the PFs that the rest selects, in bus order, from 0.
    """

    address: PciAddress | None = None
    netdev: str | None = None
    ids: tuple[int, int] | None = None
    index: int | None = None

    def select(self, devices: Sequence[PciDevice]) -> tuple[PciDevice, ...]:
        """Return the PFs that are meant, in bus order."""
        found = [device for device in devices if self._covers(device)]
        return tuple(found if self.index is None else found[self.index : self.index + 1])

    def _covers(self, device: PciDevice) -> bool:
        return (
            device.dev_type is DeviceType.PF
            and self.address in (None, device.address)
            and self.netdev in (None, device.netdev)
            and self.ids in (None, (device.vendor_id, device.product_id))
        )

    def __str__(self) -> str:
        ids = self.ids and f"{self.ids[0]:04x}:{self.ids[1]:04x}"
        given = {
            "address": self.address,
            "netdev": self.netdev,
            "ids": ids,
            "index": self.index,
        }
        return ", ".join(f"{key} {value}" for key, value in given.items() if value is not None)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whom VFs serve: ports on a physical network, or servers that ask for an alias."""

    physical_network: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.physical_network is not None:
            return f"physical_network {self.physical_network}"
        return f"alias {self.alias}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PfPolicy:
    """What one entry of ``pfs`` wants.

    Attributes:
        path: where the entry stands, as ``pfs[0]``.
        vf_driver: a driver's name, or what ``VfDriver`` offers.
        link_up: whether the PF's interface is set up; VF drivers need that. None leaves it.
    """

    path: str
    selector: PfSelector
    vfs: int
    purpose: Purpose | None = None
    vf_driver: str = VfDriver.NONE
    link_up: bool | None = True

    @property
    def autoprobe(self) -> bool:
        return self.vf_driver == VfDriver.AUTO

    @property
    def named_driver(self) -> str | None:
        return None if self.vf_driver in set(VfDriver) else self.vf_driver


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy.

    Attributes:
        kernel_arguments: what the kernel command line must hold after the next boot.
        persist: whether the policy is restored at each boot.
        manage_management: whether the interface that carries the host's own traffic may change.
        text: the file as it was read; this is what persistence keeps.
    """

    pfs: tuple[PfPolicy, ...] = ()
    kernel_arguments: tuple[str, ...] = ()
    persist: bool = True
    manage_management: bool = False
    text: str = ""


def parse_policy(document: object, text: str = "") -> Policy:
    """Read a policy from what a YAML or JSON reader gives.

    Raises:
        PolicyInvalid: with the path of the field, what is wrong and what would be right.
    """
    top = _mapping(document, "", _TOP)
    if top.get("version") != VERSION or isinstance(top.get("version"), bool):
        raise PolicyInvalid("version", f"is {top.get('version')!r}", hint=f"version: {VERSION}")
    entries = _list(top.get("pfs", []), "pfs", _PFS_MAX)
    arguments = _list(top.get("kernel_arguments", []), "kernel_arguments", _ARGUMENTS_MAX)
    return Policy(
        pfs=tuple(_pf(entry, f"pfs[{at}]") for at, entry in enumerate(entries)),
        kernel_arguments=tuple(
            _text(value, f"kernel_arguments[{at}]", _ARGUMENT, "one argument such as iommu=pt")
            for at, value in enumerate(arguments)
        ),
        persist=_flag(top.get("persist", True), "persist"),
        manage_management=_flag(top.get("manage_management", False), "manage_management"),
        text=text,
    )


_TOP = ("version", "pfs", "kernel_arguments", "persist", "manage_management")
_PF = ("pf", "vfs", "physical_network", "alias", "vf_driver", "link")
_SELECTOR = ("address", "netdev", "ids", "index")


def _pf(entry: object, path: str) -> PfPolicy:
    fields = _mapping(entry, path, _PF)
    for name in ("pf", "vfs"):
        if name not in fields:
            raise PolicyInvalid(path, f"{name} is missing", hint=_EXAMPLE[name])
    driver = fields.get("vf_driver", VfDriver.NONE)
    if driver is None:
        driver = VfDriver.NONE
    return PfPolicy(
        path=path,
        selector=_selector(fields["pf"], f"{path}.pf"),
        vfs=_count(fields["vfs"], f"{path}.vfs"),
        purpose=_purpose(fields, path),
        vf_driver=_text(driver, f"{path}.vf_driver", _DRIVER, "none, auto or a driver's name"),
        link_up=_link(fields.get("link", "up"), f"{path}.link"),
    )


_EXAMPLE = {"pf": 'pf: "0000:21:00.0", or pf: {netdev: ens1}', "vfs": "vfs: 7"}


def _selector(value: object, path: str) -> PfSelector:
    if isinstance(value, str):
        try:
            return PfSelector(address=PciAddress.parse(value))
        except Invalid:
            return PfSelector(netdev=_text(value, path, _NETDEV, "an address or a netdev name"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        # YAML 1.1 reads 21:00.0 and 3:10 as numbers in base 60.
        raise PolicyInvalid(path, f"is the number {value}", hint='quote it: pf: "0000:21:00.0"')
    fields = _mapping(value, path, _SELECTOR)
    if not fields:
        raise PolicyInvalid(path, "chooses nothing", hint=f"one of {', '.join(_SELECTOR)}")
    address, netdev = fields.get("address"), fields.get("netdev")
    ids, index = fields.get("ids"), fields.get("index")
    return PfSelector(
        address=None if address is None else _address(address, f"{path}.address"),
        netdev=None if netdev is None else _text(netdev, f"{path}.netdev", _NETDEV, "as ens1"),
        ids=None if ids is None else _ids(ids, f"{path}.ids"),
        index=None if index is None else _count(index, f"{path}.index"),
    )


def _address(value: object, path: str) -> PciAddress:
    try:
        return PciAddress.parse(value if isinstance(value, str) else "")
    except Invalid as error:
        hint = 'quote it: "0000:21:00.0"'
        raise PolicyInvalid(path, f"{value!r} is not a PCI address", hint=hint) from error


def _ids(value: object, path: str) -> tuple[int, int]:
    found = _IDS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PolicyInvalid(path, f"{value!r} is not vendor:product", hint='ids: "8086:10c9"')
    return int(found[1], 16), int(found[2], 16)


def _purpose(fields: Mapping[str, Any], path: str) -> Purpose | None:
    given = [name for name in ("physical_network", "alias") if fields.get(name) is not None]
    if len(given) > 1:
        raise PolicyInvalid(
            f"{path}.alias",
            "stands beside physical_network",
            hint="VFs serve ports or an alias, not both: split the PF or drop one",
        )
    if not given:
        return None
    name = given[0]
    value = _text(fields[name], f"{path}.{name}", _NAME, "a name without blanks and quotes")
    return Purpose(**{name: value})


def _link(value: object, path: str) -> bool | None:
    if value in ("up", True):
        return True
    if value == "leave":
        return None
    raise PolicyInvalid(path, f"is {value!r}", hint="link: up, or link: leave")


def _mapping(value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        kind = "nothing" if value is None else f"a {type(value).__name__}"
        raise PolicyInvalid(path, f"is {kind}, not a mapping", hint=f"keys: {', '.join(known)}")
    for key in value:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            raise PolicyInvalid(where, "unknown key", hint=f"known here: {', '.join(known)}")
    return value


def _list(value: object, path: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise PolicyInvalid(path, f"is {value!r:.60}, not a list", hint="each entry begins with -")
    if len(value) > most:
        raise PolicyInvalid(path, f"has {len(value)} entries", hint=f"at most {most}")
    return value


def _count(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= VFS_MAX:
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=f"a whole number from 0 to {VFS_MAX}")
    return value


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint="true or false")
    return value


def _text(value: object, path: str, pattern: re.Pattern[str], right: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise PolicyInvalid(path, f"is {value!r:.60}", hint=right)
    return value

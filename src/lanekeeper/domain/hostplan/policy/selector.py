"""Which PF an entry of a policy means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    read_count,
    read_mapping,
    read_text,
)
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice

_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE | re.ASCII)
_NETDEV = re.compile(r"[^\s/:]{1,15}")  # Linux net/core/dev.c, dev_valid_name()
_SELECTOR = ("address", "netdev", "ids", "index")


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


def read_selector(value: object, path: str) -> PfSelector:
    if isinstance(value, str):
        try:
            return PfSelector(address=PciAddress.parse(value))
        except Invalid:
            return PfSelector(netdev=read_text(value, path, _NETDEV, "an address or a netdev name"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        # YAML 1.1 reads 21:00.0 and 3:10 as numbers in base 60.
        raise PolicyInvalid(path, f"is the number {value}", hint='quote it: pf: "0000:21:00.0"')
    fields = read_mapping(value, path, _SELECTOR)
    if not fields:
        raise PolicyInvalid(path, "chooses nothing", hint=f"one of {', '.join(_SELECTOR)}")
    address, netdev = fields.get("address"), fields.get("netdev")
    ids, index = fields.get("ids"), fields.get("index")
    return PfSelector(
        address=None if address is None else _address(address, f"{path}.address"),
        netdev=None if netdev is None else read_text(netdev, f"{path}.netdev", _NETDEV, "as ens1"),
        ids=None if ids is None else _ids(ids, f"{path}.ids"),
        index=None if index is None else read_count(index, f"{path}.index"),
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

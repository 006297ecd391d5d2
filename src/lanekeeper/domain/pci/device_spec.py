"""Operator's choice of which PCI functions may be handed to guests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.address_pattern import AddressExpressions, AddressPattern, open_or_hex
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.domain.pci.resource_class import normalize_resource_class, parse_traits
from lanekeeper.domain.pci.spec_key import FLAGS, KNOWN, OWN_PREFIX, SELECTORS, TEXTS, check_key

_ANYWHERE = AddressPattern()
_ALIAS_ONLY = frozenset({"device_type", "dev_type", "name", "numa_policy"})
"""Keys of an alias; in an entry they select nothing, which is easily overlooked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """One ``device_spec`` entry; fields left None select every value.

    Attributes:
        devname: netdev name of a PF (then its VFs are selected too) or of one VF.
        pinned: the function that *devname* means, once that has been looked up.
        tags: every other key, as text. Flags are ``true`` or ``false``; null counts as absent,
            except for ``physical_network``, where it becomes the empty text: for ports of
            networks without one.
        source: where it stands, as in ``nova.conf:12``; empty when it came from nowhere.

    Source: nova configuration reference, ``[pci] device_spec``; ``pci/devspec.py``.
    """

    vendor_id: int | None = None
    product_id: int | None = None
    address: AddressPattern | AddressExpressions = _ANYWHERE
    devname: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    source: str = field(default="", compare=False)
    pinned: PciAddress | None = None

    @classmethod
    def parse(cls, entry: object, *, source: str = "", strict: bool = False) -> Self:
        """Check one decoded JSON object; *entry* itself is left untouched.

        Args:
            entry: the object.
            source: kept, for messages about this entry.
            strict: refuse every key that is not known, not only likely slips of the pen.

        Raises:
            Invalid: not an object, a value of the wrong type or outside its range, a key that
                looks like a misspelt one, or both devname and address.
        """
        if not isinstance(entry, Mapping):
            raise Invalid(f"device_spec {entry!r} is not a JSON object such as {_EXAMPLE}")
        for key in entry:
            check_key(str(key), strict=strict)
        devname = _text(entry, "devname") or None
        address = entry.get("address")
        if devname and address:
            raise Invalid("device_spec takes devname or address, not both")
        return cls(
            vendor_id=_id(entry, "vendor_id"),
            product_id=_id(entry, "product_id"),
            address=_address(address),
            devname=devname,
            tags=_tags(entry),
            source=source,
        )

    def selects(self, device: PciDevice, parent: PciDevice | None = None) -> bool:
        return not any(self.mismatches(device, parent))

    def mismatches(self, device: PciDevice, parent: PciDevice | None = None) -> Iterator[str]:
        """Say, one reason at a time, why *device* is left out; nothing when it is in.

        *parent* is the device's PF, where it has one and the host shows it.
        """
        if self.vendor_id not in (None, device.vendor_id):
            yield f"vendor_id is {device.vendor_id:04x}, not {self.vendor_id:04x}"
        if self.product_id not in (None, device.product_id):
            yield f"product_id is {device.product_id:04x}, not {self.product_id:04x}"
        pf = parent if parent is not None and parent.dev_type is DeviceType.PF else None
        if not self._reaches(device, pf):
            yield f"address {device.address} is not covered"
        if not self._names(device, pf):
            yield f"neither it nor its PF has the network interface {self.devname}"
        is_vf = device.dev_type is DeviceType.VF
        if self.is_remote_managed and not (device.serial or (is_vf and pf and pf.serial)):
            yield "remote_managed needs a card serial number, and the device shows none"

    @property
    def is_remote_managed(self) -> bool:
        """Whether a SmartNIC of its own programs the selected devices."""
        return self.tags.get("remote_managed") == "true"

    @property
    def selects_all(self) -> bool:
        """Whether every function of a host is meant, its bridges and boot disk too."""
        is_open = (self.vendor_id, self.product_id, self.devname) == (None, None, None)
        return is_open and self.address in (_ANYWHERE, AddressExpressions())

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is taken but rarely meant, one sentence each."""
        for_ports = "physical_network" in self.tags
        idle = (
            f"device_spec key {key!r} is read of devices for ports alone, and this entry has no "
            "physical_network"
            for key in ("trusted",)
            if key in self.tags and not for_ports
        )
        return *idle, *(
            f"device_spec key {key!r} selects nothing and is kept as a tag that nobody reads"
            + ("; it belongs into an alias" if key in _ALIAS_ONLY else "")
            for key in self.tags
            if key not in KNOWN and not key.startswith(OWN_PREFIX)
        )

    @property
    def text(self) -> str:
        """What it selects and its tags, as JSON; the same of two entries that mean the same."""
        ids = {"vendor_id": self.vendor_id, "product_id": self.product_id}
        selectors = {name: f"{number:04x}" for name, number in ids.items() if number is not None}
        if self.devname is not None:
            selectors["devname"] = self.devname
        elif self.address != _ANYWHERE:
            selectors["address"] = str(self.address)
        return json.dumps({**selectors, **self.tags}, sort_keys=True)

    def _reaches(self, device: PciDevice, pf: PciDevice | None) -> bool:
        # An exact address that names a PF also selects the VFs it created.
        through_pf = pf is not None and self.address.is_exact and self.address.covers(pf.address)
        return through_pf or self.address.covers(device.address)

    def _names(self, device: PciDevice, pf: PciDevice | None) -> bool:
        if self.devname is None:
            return True
        if self.pinned is not None:
            return self.pinned in (device.address, pf.address if pf is not None else None)
        return self.devname in (device.netdev, pf.netdev if pf is not None else None)


def parse_option(text: str, *, source: str = "", strict: bool = False) -> tuple[DeviceSpec, ...]:
    """Read one value of ``[pci] device_spec``: a JSON object, or a list of them.

    Raises:
        Invalid: not JSON, or one entry is wrong; the message tells which of several.
    """
    value = decode_json(text, "device_spec")
    entries = value if isinstance(value, list) else [value]
    specs = []
    for position, entry in enumerate(entries, start=1):
        try:
            specs.append(DeviceSpec.parse(entry, source=source, strict=strict))
        except Error as error:
            if len(entries) == 1:
                raise
            raise Invalid(f"entry {position}: {error}", hint=error.hint) from error
    return tuple(specs)


def match(
    specs: Sequence[DeviceSpec], device: PciDevice, parent: PciDevice | None = None
) -> tuple[int, Mapping[str, str]] | None:
    """Return which entry lists *device*, counted from 0, and its tags; the first one wins.

    *parent* is the device's PF, where it has one and the host shows it. None: not listed.
    """
    for index, spec in enumerate(specs):
        if spec.selects(device, parent):
            return index, spec.tags
    return None


def decode_json(text: str, name: str) -> object:
    """Decode one JSON value of option *name*.

    Raises:
        Invalid: not JSON; single quotes, the usual reason, are named.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "JSON wants double quotes" if "'" in text else f"an example: {_EXAMPLE}"
        raise Invalid(f"{name} {_shortened(text)} is not JSON: {error}", hint=hint) from error
    return value


_EXAMPLE = '{"vendor_id": "8086", "product_id": "10ca"}'


def _shortened(text: str, longest: int = 80) -> str:
    return repr(text) if len(text) <= longest else repr(text[:longest]) + "..."


def _text(entry: Mapping[str, object], name: str) -> str | None:
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Invalid(f"{name} {value!r} must be text in double quotes")


def _id(entry: Mapping[str, object], name: str) -> int | None:
    value = entry.get(name, "*")
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{name} {value!r} must be four hexadecimal digits in double quotes, or '*'")
    return open_or_hex(value, name, 0xFFFF)


def _address(value: object) -> AddressPattern | AddressExpressions:
    if isinstance(value, Mapping):
        return AddressExpressions.parse(value) if value else _ANYWHERE
    if value is None or isinstance(value, str):
        return AddressPattern.parse(value or "*")
    raise Invalid(
        f"address {value!r} must be text such as '0000:3b:00.*', "
        "or an object with domain, bus, slot and function"
    )


def _tags(entry: Mapping[str, object]) -> dict[str, str]:
    tags = {}
    for key, value in entry.items():
        if key in SELECTORS:
            continue
        if value is None:
            if key == "physical_network":
                tags[key] = ""
        elif key in FLAGS:
            tags[key] = "true" if parse_flag(value, key) else "false"
        elif key in TEXTS:
            tags[key] = _text(entry, key) or ""
        else:
            tags[key] = value if isinstance(value, str) else json.dumps(value)
    if tags.get("resource_class"):
        normalize_resource_class(tags["resource_class"])
    parse_traits(tags.get("traits"))
    return tags

"""Which functions an entry of a policy means, and what kept one from being it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.reading import (
    VERY_NEAR,
    PolicyInvalid,
    read_count,
    read_mapping,
    read_text,
)
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.address_pattern import AddressPattern
from lanekeeper.domain.pci.device import PciDevice

IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE | re.ASCII)
ID = re.compile(r"[0-9a-f]{4}", re.IGNORECASE | re.ASCII)
CLASS = re.compile(r"(?:[0-9a-f]{2}){1,3}", re.IGNORECASE | re.ASCII)
NETDEV = re.compile(r"[^\s/:]{1,15}")  # Linux net/core/dev.c, dev_valid_name()
ALTNAME = re.compile(r"[^\s/:]{1,127}")  # Linux include/uapi/linux/if.h, ALTIFNAMSIZ
DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}")
SERIAL = re.compile(r"[!-~][ -~]{0,62}")
SLOT = re.compile(r"[!-~]{1,63}")
_BLANKS = re.compile(r"[\s:-]")
NODES_MAX = 1024  # Linux CONFIG_NODES_SHIFT is at most 10

FIELDS = (
    *("address", "netdev", "altname", "ids", "vendor", "product", "class"),
    *("serial", "slot", "driver", "numa_node", "index"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSelector:
    """Which functions are meant; all that is given must hold.

    Attributes:
        address: one address, or a glob as ``device_spec`` has it.
        vendor, product: as four hexadecimal digits; *ids* is both, as numbers.
        class_code: its first two, four or six hexadecimal digits.
        serial: of the vital product data or of the PCIe capability; blanks, dashes, colons and
            case do not count.
        slot: name of the physical slot.
        index: place among those that the rest selects, in bus order, from 0.
    """

    address: PciAddress | AddressPattern | None = None
    netdev: str | None = None
    altname: str | None = None
    ids: tuple[int, int] | None = None
    vendor: str | None = None
    product: str | None = None
    class_code: str | None = None
    serial: str | None = None
    slot: str | None = None
    driver: str | None = None
    numa_node: int | None = None
    index: int | None = None

    def select(self, among: Sequence[PciDevice], host: HostFacts) -> tuple[PciDevice, ...]:
        """Return those of *among* that are meant, in bus order."""
        found = tuple(one for one in among if not any(self.mismatches(one, host)))
        return found if self.index is None else found[self.index : self.index + 1]

    def may_be_at(self, address: PciAddress) -> bool:
        """Whether a function at *address*, of which nothing else is known, may be meant."""
        return self.address is None or _covers(self.address, address)

    def mismatches(self, device: PciDevice, host: HostFacts) -> Iterator[tuple[str, str, str]]:
        """Yield what keeps *device* from being meant: field, what is asked, what it has."""
        if self.address is not None and not _covers(self.address, device.address):
            yield "address", str(self.address), str(device.address)
        yield from _differs("netdev", self.netdev, device.netdev)
        altnames = host.altnames.get(device.address, ())
        if self.altname is not None and self.altname not in altnames:
            yield "altname", self.altname, ", ".join(altnames)
        ids = f"{device.vendor_id:04x}:{device.product_id:04x}"
        yield from _differs("ids", self.ids and f"{self.ids[0]:04x}:{self.ids[1]:04x}", ids)
        yield from _differs("vendor", self.vendor, ids[:4])
        yield from _differs("product", self.product, ids[5:])
        code = f"{device.class_code:06x}"
        yield from _differs("class", self.class_code, code[: len(self.class_code or "")])
        serials = [text for text in (host.serials.get(device.address), device.serial) if text]
        if self.serial is not None and _plain(self.serial) not in map(_plain, serials):
            yield "serial", self.serial, ", ".join(serials)
        yield from _differs("slot", self.slot, host.slots.get(device.address))
        yield from _differs("driver", self.driver, device.driver)
        node = None if device.numa_node is None else str(device.numa_node)
        yield from _differs("numa_node", _text(self.numa_node), node)

    def near_misses(self, among: Sequence[PciDevice], host: HostFacts) -> Iterator[str]:
        """Say which of *among* would be meant but for one field, the likeliest first."""
        whole = [one for one in among if not any(self.mismatches(one, host))]
        if self.index is not None and whole:
            yield f"index {self.index} is beyond the {len(whole)} that the rest selects"
        but_one = []
        for device in among:
            wrong = list(self.mismatches(device, host))
            if len(wrong) == 1:
                (field, asked, has) = wrong[0]
                likeness = max(_likeness(asked, each) for each in has.split(", "))
                alike = likeness >= VERY_NEAR and field != "address"  # all addresses are alike
                if alike or self._fields > 1:
                    but_one.append((-likeness, device.address, field, has))
        for _, address, field, has in sorted(but_one):
            yield f"{address} but for {field}, which is {has or 'not known'} there"

    @property
    def _fields(self) -> int:
        return str(self).count(", ") + 1

    def __str__(self) -> str:
        ids = self.ids and f"{self.ids[0]:04x}:{self.ids[1]:04x}"
        given = {
            "address": self.address,
            "netdev": self.netdev,
            "altname": self.altname,
            "ids": ids,
            "vendor": self.vendor,
            "product": self.product,
            "class": self.class_code,
            "serial": self.serial,
            "slot": self.slot,
            "driver": self.driver,
            "numa_node": self.numa_node,
            "index": self.index,
        }
        return ", ".join(f"{key} {value}" for key, value in given.items() if value is not None)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, _plain(one), _plain(other)).ratio()


def _covers(wanted: PciAddress | AddressPattern, address: PciAddress) -> bool:
    return wanted.covers(address) if isinstance(wanted, AddressPattern) else wanted == address


def _differs(field: str, asked: str | None, has: str | None) -> Iterator[tuple[str, str, str]]:
    if asked is not None and asked != has:
        yield field, asked, has or ""


def _plain(serial: str) -> str:
    return _BLANKS.sub("", serial).lower()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def read_selector(value: object, path: str) -> DeviceSelector:
    """Read an address, a glob, an interface's name, or a mapping. Raises PolicyInvalid."""
    if isinstance(value, str):
        return _from_word(value, path)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # YAML 1.1 reads 21:00.0 and 3:10 as numbers in base 60.
        raise PolicyInvalid(path, f"is the number {value}", hint='quote it: pf: "0000:21:00.0"')
    fields = {k: v for k, v in read_mapping(value, path, FIELDS).items() if v is not None}
    if not fields:
        raise PolicyInvalid(path, "chooses nothing", hint=f"one of {', '.join(FIELDS)}")

    def text(name: str, pattern: re.Pattern[str], right: str) -> str | None:
        if name not in fields:
            return None
        return read_text(fields[name], f"{path}.{name}", pattern, right)

    def digits(name: str, pattern: re.Pattern[str], right: str) -> str | None:
        found = text(name, pattern, right)
        return found and found.lower()

    node, index = fields.get("numa_node"), fields.get("index")
    return DeviceSelector(
        address=_address(fields["address"], f"{path}.address") if "address" in fields else None,
        netdev=text("netdev", NETDEV, "as ens1"),
        altname=text("altname", ALTNAME, "as enp33s0f0np0, from `ip link`"),
        ids=_ids(fields["ids"], f"{path}.ids") if "ids" in fields else None,
        vendor=digits("vendor", ID, 'four hexadecimal digits in quotes: vendor: "8086"'),
        product=digits("product", ID, 'four hexadecimal digits in quotes: product: "10c9"'),
        class_code=digits("class", CLASS, 'two to six hexadecimal digits: class: "0200"'),
        serial=text("serial", SERIAL, 'as the card has it, in quotes: serial: "MT1943X01234"'),
        slot=text("slot", SLOT, 'a name from /sys/bus/pci/slots, in quotes: slot: "4"'),
        driver=text("driver", DRIVER, "the name of the PF's driver, as igb"),
        numa_node=None if node is None else read_count(node, f"{path}.numa_node", NODES_MAX),
        index=None if index is None else read_count(index, f"{path}.index"),
    )


def _from_word(value: str, path: str) -> DeviceSelector:
    try:
        return DeviceSelector(address=PciAddress.parse(value))
    except Invalid:
        if "*" in value or ":" in value:
            return DeviceSelector(address=_address(value, path))
    if NETDEV.fullmatch(value):
        return DeviceSelector(netdev=value)
    return DeviceSelector(altname=read_text(value, path, ALTNAME, "an address or a netdev name"))


def _address(value: object, path: str) -> PciAddress | AddressPattern:
    if isinstance(value, str):
        try:
            return PciAddress.parse(value)
        except Invalid:
            if "*" in value:
                return _glob(value, path)
    hint = 'quote it: "0000:21:00.0"; a glob is "0000:21:*.*"'
    raise PolicyInvalid(path, f"{value!r} is not a PCI address", hint=hint)


def _glob(value: str, path: str) -> AddressPattern:
    try:
        return AddressPattern.parse(value)
    except Invalid as error:
        raise PolicyInvalid(path, str(error), hint='as "0000:21:*.*"') from error


def _ids(value: object, path: str) -> tuple[int, int]:
    found = IDS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PolicyInvalid(path, f"{value!r} is not vendor:product", hint='ids: "8086:10c9"')
    return int(found[1], 16), int(found[2], 16)

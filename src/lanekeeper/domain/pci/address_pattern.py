"""Sets of PCI addresses, as ``[pci] device_spec`` writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci import expression
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.expression import starts_with

_HEX = re.compile(r"(?:0x)?[0-9a-f]{1,8}", re.IGNORECASE | re.ASCII)
_PLAIN_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE | re.ASCII)
_FIELDS = ("domain", "bus", "slot", "function")


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """A PCI address with some fields left open; None matches every value."""

    domain: int | None = None
    bus: int | None = None
    slot: int | None = None
    function: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``dddd:bb:ss.f`` where any whole field is hexadecimal, ``*`` or blank.

        Fields may be left off from the left, and the function with its dot: ``3b:*.*`` equals
        ``*:3b:*.*``, ``0000:06:`` is every function of bus 06, and a lone number is a slot.

        Raises:
            Invalid: too many fields, or one that is neither open nor in range.

        Source: nova ``pci/devspec.py``, PciAddressGlobSpec; domains beyond FFFF are refused as
            there, though the kernel has them: entries reach those devices by id or expression.
        """
        position, _, function = text.partition(".")
        fields = position.split(":")
        left_off = 3 - len(fields)
        if left_off < 0:
            raise Invalid(f"address {text!r} has more than domain:bus:slot.function")
        domain, bus, slot = ["*"] * left_off + fields
        return cls(
            domain=open_or_hex(domain, "address: domain", 0xFFFF),
            bus=open_or_hex(bus, "address: bus", 0xFF),
            slot=open_or_hex(slot, "address: slot", 0x1F),
            function=open_or_hex(function, "address: function", 0x7),
        )

    @property
    def is_exact(self) -> bool:
        """Whether this names one function rather than a set of them."""
        return None not in (self.domain, self.bus, self.slot, self.function)

    def covers(self, address: PciAddress) -> bool:
        return (
            self.domain in (None, address.domain)
            and self.bus in (None, address.bus)
            and self.slot in (None, address.slot)
            and self.function in (None, address.function)
        )

    def __str__(self) -> str:
        """Spell it so that ``parse`` reads the same back."""
        fields = zip((self.domain, self.bus, self.slot, self.function), (4, 2, 2, 1), strict=True)
        texts = ["*" if field is None else f"{field:0{width}x}" for field, width in fields]
        return ":".join(texts[:3]) + "." + texts[3]


@dataclass(frozen=True, slots=True)
class AddressExpressions:
    """A regular expression for each field of an address.

    They see the field as the kernel prints it (4, 2, 2, 1 lower-case digits) and are anchored at
    its start only: ``0`` covers slots 00 to 0f.

    Source: nova ``pci/devspec.py``, PciAddressRegexSpec.
    """

    domain: str = ".*"
    bus: str = ".*"
    slot: str = ".*"
    function: str = ".*"

    @classmethod
    def parse(cls, fields: Mapping[str, object]) -> Self:
        """Check an object with any of domain, bus, slot and function; missing ones match all.

        Raises:
            Invalid: an unknown key, a value that is not text, or not a regular expression of those
                that are taken; see ``expression.parse``.
        """
        for name, text in fields.items():
            if name not in _FIELDS:
                raise Invalid(f"address has no key {name!r}; it has {', '.join(_FIELDS)}")
            if not isinstance(text, str):
                raise Invalid(f"address: {name} {text!r} must be text, such as '0a'")
            try:
                expression.parse(text)
            except Invalid as error:
                raise Invalid(f"address: {name} {error}", hint=error.hint) from error
        return cls(**{name: str(text) for name, text in fields.items()})

    @property
    def is_exact(self) -> bool:
        """Whether all four are plain numbers, hence one function."""
        fields = (self.domain, self.bus, self.slot, self.function)
        return all(_PLAIN_HEX.fullmatch(field) for field in fields)

    def covers(self, address: PciAddress) -> bool:
        return bool(
            starts_with(self.domain, f"{address.domain:04x}")
            and starts_with(self.bus, f"{address.bus:02x}")
            and starts_with(self.slot, f"{address.slot:02x}")
            and starts_with(self.function, f"{address.function:x}")
        )

    def __str__(self) -> str:
        return f"{self.domain}:{self.bus}:{self.slot}.{self.function}"


def open_or_hex(text: str, name: str, largest: int) -> int | None:
    """Read ``*`` or blank as None, anything else as hexadecimal in 0..*largest*.

    Raises:
        Invalid: neither.
    """
    text = text.strip()
    if text in ("", "*"):
        return None
    if not _HEX.fullmatch(text) or int(text, 16) > largest:
        raise Invalid(f"{name} {text!r} is neither * nor hexadecimal in 0..{largest:x}")
    return int(text, 16)

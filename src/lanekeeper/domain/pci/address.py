"""Where a PCI function sits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from lanekeeper.domain.errors import Invalid

_ADDRESS = re.compile(
    r"(?:(?P<domain>[0-9a-f]{4,8}):)?"
    r"(?P<bus>[0-9a-f]{2}):(?P<slot>[01][0-9a-f])\.(?P<function>[0-7])",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class PciAddress:
    """Position of one PCI function. Sorts in bus order.

    ``str()`` is the kernel's spelling, hence the name under ``/sys/bus/pci/devices``.

    Source:
        Linux ``include/uapi/linux/pci.h``, PCI_DEVFN: 5-bit slot, 3-bit function.
        Linux ``drivers/pci/probe.c`` names devices ``%04x:%02x:%02x.%d``; domains
        wider than 16 bits exist (Intel VMD starts at 0x10000).
    """

    domain: int
    bus: int
    slot: int
    function: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``[dddd:]bb:ss.f``, hexadecimal in either case; no domain means 0.

        Raises:
            Invalid: *text* is not the address of a PCI function.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise Invalid(f"{text!r} is not a PCI address such as 0000:3b:00.1")
        return cls(
            domain=int(found["domain"] or "0", 16),
            bus=int(found["bus"], 16),
            slot=int(found["slot"], 16),
            function=int(found["function"], 8),
        )

    @property
    def routing(self) -> int:
        """The routing number (requester ID): bus, slot and function in 16 bits."""
        return self.bus << 8 | self.slot << 3 | self.function

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function}"


def vf_address(pf: PciAddress, offset: int, stride: int, index: int) -> PciAddress | None:
    """Return where VF *index* of *pf* sits; None beyond the last bus.

    Source: PCI Express Base Specification, SR-IOV capability, First VF Offset and VF Stride.
    """
    routing = pf.routing + offset + index * stride
    if routing >> 16:
        return None
    return PciAddress(pf.domain, routing >> 8, routing >> 3 & 0x1F, routing & 7)

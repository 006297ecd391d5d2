"""``[ml2_sriov] supported_pci_vendor_devs`` of old Neutron: read, so that a wrong one is named.

What it allowed, ``[pci] device_spec`` says since Ocata: a port's VF is one that is listed there.
"""

from __future__ import annotations

from lanekeeper.domain.errors import Invalid


def parse_vendor_list(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``15b3:1004, 8086:10ca``: vendor and product id of each entry, as text.

    Raises:
        Invalid: an entry that is not VENDOR:PRODUCT; it is named.

    Source: neutron of Kilo to Newton, ``ml2/drivers/mech_sriov/mech_driver/mech_driver.py``.
    """
    found = []
    for entry in text.split(","):
        vendor, *rest = (piece.strip() for piece in entry.split(":"))
        if not vendor or len(rest) != 1 or not rest[0]:
            raise Invalid(
                f"supported_pci_vendor_devs {entry.strip()!r} is not VENDOR:PRODUCT",
                hint="nothing reads it any more: leave it out; [pci] device_spec says which "
                "devices there are",
            )
        found.append((vendor, rest[0]))
    return tuple(found)

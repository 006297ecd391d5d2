"""VLAN ids of physical networks, as ``[ml2_type_vlan] network_vlan_ranges`` writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid

VLAN_MIN, VLAN_MAX = 1, 4094  # IEEE 802.1Q: 0 is priority only, 4095 is reserved

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class VlanRange:
    """VLAN ids from *first* to *last*, both included."""

    first: int = VLAN_MIN
    last: int = VLAN_MAX

    def __contains__(self, vlan: int) -> bool:
        return self.first <= vlan <= self.last

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"


def parse_vlan_ranges(text: str) -> dict[str, tuple[VlanRange, ...]]:
    """Read ``physnet1:100:199,physnet2``; several ranges of one network stay in their order.

    A network without a range has all VLANs, whatever ranges stand before or after it.

    Raises:
        Invalid: an entry that is neither a name nor NAME:MIN:MAX with 1 <= MIN <= MAX <= 4094.

    Source: neutron-lib ``plugins/utils.py``, parse_network_vlan_ranges.
    """
    ranges: dict[str, tuple[VlanRange, ...]] = {}
    for entry in filter(None, (piece.strip() for piece in text.split(","))):
        name, found = _entry(entry)
        before = ranges.get(name, ())
        if found is None or before == (VlanRange(),):
            ranges[name] = (VlanRange(),)
        else:
            ranges[name] = (*before, found)
    return ranges


def _entry(entry: str) -> tuple[str, VlanRange | None]:
    name, *numbers = (piece.strip() for piece in entry.split(":"))
    if name and not numbers:
        return name, None
    if not name or len(numbers) != 2 or not all(map(_NUMBER.fullmatch, numbers)):  # noqa: PLR2004
        raise Invalid(f"network_vlan_ranges {entry!r} is neither PHYSNET nor PHYSNET:MIN:MAX")
    first, last = map(int, numbers)
    if not VLAN_MIN <= first <= last <= VLAN_MAX:
        raise Invalid(
            f"network_vlan_ranges {entry!r}: {first} to {last} is not within "
            f"{VLAN_MIN} to {VLAN_MAX} in ascending order"
        )
    return name, VlanRange(first, last)

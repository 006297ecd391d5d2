"""What of a server's devices is told to its host as what, since a unit comes and goes whole.

A function that is only given away together with others (``domain.pci.unit``) is never plugged into
a guest that runs, nor taken from one: the others are in the guest's hands still, and their IOMMU
group is only for it or for the host. What is given up of a unit goes when the guest is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Claim = Mapping[str, Any]
"""A row of ``claims_of``: the claim's columns and the device's."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Claims of one server, by what its guest has them for.

    Attributes:
        cards: of ports that the server keeps, by the port's id.
        leaving: those that a running guest is to let go of.
        devices: all others that the guest is to have.
    """

    cards: dict[str, Claim] = field(default_factory=dict)
    leaving: list[Claim] = field(default_factory=list)
    devices: list[Claim] = field(default_factory=list)


def shares(claims: Sequence[Claim], port_ids: Iterable[str], given_up: Iterable[str]) -> Shares:
    """Sort the claims of a server with *port_ids*, of which it has *given_up* some.

    A unit of which nothing is asked for any more is in none of the three: its guest has it while
    it runs, and does not get it again.
    """
    gone, found = frozenset(given_up), Shares()
    kept_ids = frozenset(port_ids) - gone
    going = {one["unit"] for one in claims if one["request_id"] in gone}
    going -= {one["unit"] for one in claims if not (_came_along(one) or one["request_id"] in gone)}
    for one in claims:
        if one["request_id"] in kept_ids:
            found.cards[one["request_id"]] = one
        elif one["unit"] is None and one["request_id"] in gone:
            found.leaving.append(one)
        elif one["unit"] is None or one["unit"] not in going:
            found.devices.append(one)
    return found


def requests_in_hand(claims: Iterable[Claim], addresses: Iterable[str]) -> frozenset[str]:
    """Requests of whose units a guest that holds *addresses* has something in hand."""
    rows, held = list(claims), frozenset(addresses)
    units = {one["unit"] for one in rows if one["address"] in held} - {None}
    return frozenset(
        one["request_id"] for one in rows if one["address"] in held or one["unit"] in units
    )


def _came_along(claim: Claim) -> bool:
    """Whether nobody asked for it: it is claimed under its own id in place of a request's."""
    return bool(claim["request_id"] == claim["id"])

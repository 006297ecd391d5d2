"""What uplinks make of an order: whose VFs are away, and whose links are held down. Pure.

A VF whose port wants the link of its uplink (``auto``) has no link while nothing passes there, also
where the PF itself has one: where LACP keeps it out of its bond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from lanekeeper.agent.observe import View
from lanekeeper.agent.pairs import has_left
from lanekeeper.agent.uplinks import Standing
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_ability import VfAbility, lacking
from lanekeeper.hypervisor.driver import Inventory
from lanekeeper.protocol import Desired, NicWanted


@dataclass(frozen=True, slots=True)
class Hanging:
    """A card that follows an uplink, and the PF that it hangs on.

    Attributes:
        barred: it is a VF that its guest has let go of, and that no entry lists any more.
    """

    server_id: str
    nic: NicWanted
    address: PciAddress
    pf: PciAddress
    barred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """An order in the light of uplinks.

    Attributes:
        away: VFs of failover pairs that no guest should have now.
        unsure: those, and such that come back to none yet.
        held: why the link of a port's VF is held down, by port.
        said: what an operator should know.
    """

    desired: Desired
    away: frozenset[PciAddress] = frozenset()
    unsure: frozenset[PciAddress] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def hanging(
    desired: Desired, view: View, inventory: Inventory, *, relays: bool
) -> tuple[Hanging, ...]:
    """The cards of active guests that follow an uplink: of pairs, and with *relays* those that can
    be told. PFs of others may not have been set up yet. What is listed no more follows as long as a
    guest has it.
    """
    listed = (one.device for one in view.listed.values())
    parents = {one.address: one.parent for one in (*listed, *view.others)}
    drivers = {pf.address: pf.driver for pf in view.pfs}
    return tuple(
        Hanging(server.id, nic, address, pf, has_left(nic, guest) and not view.may_touch(address))
        for server in desired.servers
        if (guest := inventory.guest(server.id)) is not None and guest.is_active
        for nic in server.nics
        if (pf := parents.get(address := PciAddress.parse(nic.device.address))) is not None
        and (nic.failover or (relays and _follows(nic, drivers.get(pf))))
    )


def _follows(nic: NicWanted, driver: str | None) -> bool:
    is_able = VfAbility.LINK_STATE not in lacking(driver)
    return nic.vf_index is not None and nic.link_state == "auto" and is_able


def relayed(desired: Desired, cards: Sequence[Hanging], uplinks: Standing) -> Relayed:
    """Say what *uplinks* make of *desired*."""
    down = uplinks.down
    pairs = [card for card in cards if card.nic.failover]
    away = frozenset(one.address for one in pairs if one.barred or one.pf in down)
    unsure = away | {one.address for one in pairs if one.pf in uplinks.unsure}
    hit = [card for card in cards if card.pf in down]
    barred = tuple(_barred(card) for card in cards if card.barred and card.pf not in down)
    if not hit:
        return Relayed(desired=desired, away=away, unsure=unsure, said=barred)
    held = {one.nic.port_id: f"of {one.pf}, {down[one.pf]}" for one in hit if not one.nic.failover}
    return Relayed(
        desired=msgspec.structs.replace(
            desired,
            servers=[
                msgspec.structs.replace(server, nics=[_held(nic, held) for nic in server.nics])
                for server in desired.servers
            ],
        ),
        away=away,
        unsure=unsure,
        held=held,
        said=(*(_said(card, down[card.pf]) for card in hit), *barred),
    )


def _held(nic: NicWanted, held: Mapping[str, str]) -> NicWanted:
    if nic.port_id not in held:
        return nic
    return msgspec.structs.replace(nic, link_state="disable")


def _barred(card: Hanging) -> str:
    return (
        f"port {card.nic.port_id} of server {card.server_id} has to do with the card that stands "
        f"by until an entry of [pci] device_spec lists its VF {card.address} again"
    )


def _said(card: Hanging, why: str) -> str:
    whose = f"port {card.nic.port_id} of server {card.server_id}"
    if card.nic.failover:
        return (
            f"{whose} has to do with the card that stands by: of {card.pf}, whose VF "
            f"{card.address} it has, {why}"
        )
    return f"{whose} has no link: of {card.pf}, whose VF {card.address} it has, {why}"

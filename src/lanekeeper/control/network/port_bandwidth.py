"""Bandwidth of ports that servers hold, when what they are promised changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.bandwidth import allocation_of
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.promise import EGRESS, INGRESS, Promise, promise_of
from lanekeeper.store.network.bandwidth import (
    CardOf,
    amounts_of,
    cards_of_ports,
    port_bandwidth_set,
    profile_set,
)
from lanekeeper.store.placement.allocation import FULL, amounts_change

CHANGE_REFUSED = "QosPlacementAllocationUpdateConflict"
"""Neutron's name for it. Source: neutron-lib ``exceptions/qos.py``."""


def settle_bandwidth(
    connection: sa.Connection,
    ports: Iterable[PortRecord],
    now: datetime,
    *,
    even_if_full: bool = False,
) -> None:
    """Have each port that a server holds have what its rules promise, of the card that serves it.

    With *even_if_full* what a guest is known to have is written down, whatever there is.

    Raises:
        Conflict: code QosPlacementAllocationUpdateConflict; a card has not so much left, and which.
            The transaction must be left.
    """
    changing = [
        port for port in ports if port.device_id and promise_of(port.qos_rules) != port.held
    ]
    for port in sorted(changing, key=lambda port: port.id):
        # Asked anew each time: the one before may have taken from the same card.
        card = cards_of_ports(connection, [port.id]).get(port.id)
        if card is not None:  # or no server of ours holds it
            _settle(connection, port, card, now, even_if_full=even_if_full)


def _settle(
    connection: sa.Connection, port: PortRecord, card: CardOf, now: datetime, *, even_if_full: bool
) -> None:
    wanted = promise_of(port.qos_rules)
    if even_if_full:
        wanted = _counted(wanted, card)
    else:
        _check(port, wanted, card)
    provider_id = card.bandwidth.provider_id if card.bandwidth is not None else None
    changes: dict[tuple[str, str], int] = {}
    if port.bandwidth_provider_id is not None:
        changes = amounts_of(port.bandwidth_provider_id, port.held, -1)
    if provider_id is not None:
        for place, amount in amounts_of(provider_id, wanted).items():
            changes[place] = changes.get(place, 0) + amount
    try:
        amounts_change(connection, port.device_id, changes, even_if_full=even_if_full)
    except Conflict as error:
        if error.code != FULL:
            raise
        raise _refused(port, str(error)) from error
    port_bandwidth_set(connection, port.id, provider_id, wanted)
    profile = {key: value for key, value in port.profile.items() if key != "allocation"}
    if allocation := allocation_of(port, provider_id):
        profile["allocation"] = allocation
    profile_set(connection, port.id, profile, now)


def _counted(wanted: Promise, card: CardOf) -> Promise:
    """What of it is of a kind that the card has an inventory of."""
    kinds = dict(card.bandwidth.inventories) if card.bandwidth is not None else {}
    return Promise(
        wanted.egress_kbps if EGRESS in kinds else 0,
        wanted.ingress_kbps if INGRESS in kinds else 0,
    )


def _check(port: PortRecord, wanted: Promise, card: CardOf) -> None:
    """Say what the card lacks, beside what the port has of it already."""
    if not wanted:
        return
    if card.bandwidth is None:
        raise _refused(port, f"PF {card.interface} has no bandwidth to promise")
    own = card.bandwidth.provider_id == port.bandwidth_provider_id
    back = Promise(-port.held.egress_kbps, -port.held.ingress_kbps) if own else Promise()
    if lacks := card.bandwidth.after([back]).lacks(wanted):
        raise _refused(port, lacks)


def _refused(port: PortRecord, why: str) -> Conflict:
    return Conflict(
        f"Port {port.id} cannot be promised that where it is: {why}",
        hint="ask for less, or take the port from its server first and give it back: it then gets "
        "a VF of a PF that has so much, if its host has one",
        code=CHANGE_REFUSED,
    )

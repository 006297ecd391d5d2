"""Bandwidth that ports hold: written with the port, taken from the card's inventory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from lanekeeper.domain.network.promise import Promise
from lanekeeper.domain.network.qos import QosRule, rule_read
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.store.batch import batches
from lanekeeper.store.placement.allocation import amounts_change
from lanekeeper.store.placement.bandwidth_provider import Moved, bandwidth_stocks
from lanekeeper.store.tables import claim, device, inventory, network, port, qos_policy


class CardOf(NamedTuple):
    """The card that serves a port, and its driver."""

    bandwidth: CardBandwidth | None
    interface: str


def amounts_of(provider_id: str, promise: Promise, times: int = 1) -> dict[tuple[str, str], int]:
    """(provider id, class) to units, *times* -1 where they are given back."""
    return {(provider_id, name): times * amount for name, amount in promise.amounts.items()}


def port_bandwidth_set(
    connection: sa.Connection, port_id: str, provider_id: str | None, held: Promise
) -> None:
    """Write with a port what it holds; the inventory is the caller's to change."""
    connection.execute(
        port.update()
        .where(port.c.id == port_id)
        .values(
            bandwidth_provider_id=provider_id if held else None,
            egress_kbps=held.egress_kbps,
            ingress_kbps=held.ingress_kbps,
        )
    )


def bandwidth_follow(connection: sa.Connection, moved: Iterable[Moved], now: datetime) -> None:
    """Have what ports hold be of the providers that their cards have now, whatever is left there.

    What the new provider has nothing of stays where it was.
    """
    for one in moved:
        held = Promise(one.egress_kbps, one.ingress_kbps)
        there = set(
            connection.scalars(
                sa.select(inventory.c.resource_class).where(inventory.c.provider_id == one.after)
            )
        )
        if not there.issuperset(held.amounts):
            continue
        changes = amounts_of(one.before, held, -1) | amounts_of(one.after, held)
        amounts_change(connection, one.server_id, changes, even_if_full=True)
        port_bandwidth_set(connection, one.port_id, one.after, held)
        mine = port.c.id == one.port_id
        profile = connection.scalar(sa.select(port.c.binding_profile).where(mine)) or {}
        groups = dict.fromkeys(profile.get("allocation", {}), one.after)
        profile_set(connection, one.port_id, {**profile, "allocation": groups}, now)


def profile_set(
    connection: sa.Connection, port_id: str, profile: Mapping[str, Any], now: datetime
) -> None:
    connection.execute(
        port.update()
        .where(port.c.id == port_id)
        .values(binding_profile=dict(profile), revision=port.c.revision + 1, updated_at=now)
    )


def cards_of_ports(connection: sa.Connection, port_ids: Collection[str]) -> dict[str, CardOf]:
    """Port to the card whose device was claimed for it, with what that card can promise."""
    pf = device.alias("pf")
    provider_id = sa.func.coalesce(pf.c.bandwidth_provider_id, device.c.bandwidth_provider_id)
    interface = sa.func.coalesce(pf.c.netdev, pf.c.address, device.c.netdev, device.c.address)
    query = (
        sa.select(claim.c.request_id, provider_id, interface, device.c.host_id)
        .join(device, device.c.id == claim.c.device_id)
        .outerjoin(pf, pf.c.id == device.c.pf_id)
    )
    rows = [
        row
        for some in batches(port_ids)
        for row in connection.execute(query.where(claim.c.request_id.in_(some)))
    ]
    stocks = bandwidth_stocks(connection, {row[3] for row in rows})
    return {
        port_id: CardOf(
            CardBandwidth(provider, name, stocks.get(provider, ())) if provider else None, name
        )
        for port_id, provider, name, _ in rows
    }


def rules_hold(
    connection: sa.Connection, port_ids: Collection[str]
) -> Mapping[str, tuple[QosRule, ...]]:
    """The rules of each port as they are, and stay until the commit: its own policy's, else its
    network's.
    """
    theirs = sa.case(
        (port.c.device_owner.startswith("network:"), None), else_=network.c.qos_policy_id
    )
    query = sa.select(port.c.id, sa.func.coalesce(port.c.qos_policy_id, theirs))
    query = query.join(network, network.c.id == port.c.network_id).order_by(port.c.id)
    policies: dict[str, str] = {}
    for some in batches(port_ids):
        held = query.where(port.c.id.in_(some)).with_for_update(of=port)
        policies |= {row[0]: row[1] or "" for row in connection.execute(held)}
    rules: dict[str, tuple[QosRule, ...]] = {}
    for some in batches({*policies.values()} - {""}):
        mine = sa.select(qos_policy.c.id, qos_policy.c.rules).where(qos_policy.c.id.in_(some))
        found = connection.execute(mine.order_by(qos_policy.c.id).with_for_update(read=True))
        rules |= {row.id: tuple(map(rule_read, row.rules)) for row in found}
    return {port_id: rules.get(policy_id, ()) for port_id, policy_id in policies.items()}

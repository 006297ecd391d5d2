"""Devices as their hosts tell of them: rows kept in step with facts, states left alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, DeviceType
from lanekeeper.store.device.life import (
    card_is_whole,
    card_recount,
    device_follow,
    device_leave,
    device_return,
)
from lanekeeper.store.device.quarantine import quarantine_apply
from lanekeeper.store.tables import card, claim, device, host


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """What a host says of one function, ready for its row.

    Attributes:
        parent: address of the PF, which is told in the same list; None for what is not a VF.
        resource_class: None for a function that is not listed.
    """

    address: str
    vendor_id: str
    product_id: str
    dev_type: str
    parent: str | None = None
    vf_index: int | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    iommu_group: int | None = None
    driver: str | None = None
    netdev: str | None = None
    mac: str | None = None
    serial: str | None = None
    label: str | None = None
    listed: bool = True
    entry: int | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    physical_network: str | None = None
    resource_class: str | None = None


_FACTS = tuple(name for name in DeviceRow.__slots__ if name not in ("address", "parent"))
_IDENTITY = ("vendor_id", "product_id", "dev_type")


def devices_merge(
    connection: sa.Connection, host_id: str, told: Sequence[DeviceRow], now: datetime
) -> dict[str, str]:
    """Bring the rows of *host_id* in step with what it tells now; returns address to id.

    A function with the same address, ids and serial is the same device, also after it was away.
    What is not told any more is marked as not present: a holder keeps it, nobody new gets it.
    A function that was not clean when its host was removed comes back quarantined. Other states are
    not touched here; what follows for cards is the devices' life (``life.py``).
    """
    known = {
        row["address"]: row
        for row in connection.execute(
            sa.select(device).where(device.c.host_id == host_id, device.c.present)
        ).mappings()
    }
    ids: dict[str, str] = {}
    # PFs first: a VF's row names its PF's.
    for fact in sorted(told, key=lambda fact: (fact.parent is not None, fact.address)):
        pf_id = ids.get(fact.parent) if fact.parent else None
        row = known.pop(fact.address, None)
        if row is not None and not _same(connection, row, fact, pf_id):
            device_leave(connection, row["id"])
            row = None
        if row is None:
            row = _away(connection, host_id, fact, pf_id)
            if row is not None:
                device_return(connection, row["id"])
        ids[fact.address] = (
            _insert(connection, host_id, fact, pf_id, now)
            if row is None
            else _update(connection, row, fact, pf_id)
        )
    for row in known.values():
        device_leave(connection, row["id"])
    return ids


def _same(
    connection: sa.Connection, row: sa.RowMapping, fact: DeviceRow, pf_id: str | None
) -> bool:
    """Whether *fact* tells of the function that *row* is.

    A held VF below another PF is the same, unless that PF is held itself: then its holder has
    lost it, and what is there now is a part of the other holder's card.
    """
    if any(row[name] != getattr(fact, name) for name in _IDENTITY):
        return False
    if row["serial"] and fact.serial and row["serial"] != fact.serial:
        return False
    moves = pf_id is not None and row["pf_id"] != pf_id
    held = row["state"] == DeviceState.HELD
    return not (moves and held and pf_id is not None and card_is_whole(connection, pf_id))


def _values(fact: DeviceRow) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in _FACTS} | {"tags": dict(fact.tags)}


def _update(
    connection: sa.Connection, row: sa.RowMapping, fact: DeviceRow, pf_id: str | None
) -> str:
    changed = {name: value for name, value in _values(fact).items() if row[name] != value}
    if changed:
        connection.execute(
            device.update()
            .where(device.c.id == row["id"])
            .values(**changed, generation=device.c.generation + 1)
        )
    if row["pf_id"] != pf_id:
        device_follow(connection, row["id"], pf_id)
    return str(row["id"])


def _insert(
    connection: sa.Connection, host_id: str, fact: DeviceRow, pf_id: str | None, now: datetime
) -> str:
    device_id = str(uuid.uuid4())
    connection.execute(
        device.insert().values(
            id=device_id,
            host_id=host_id,
            address=fact.address,
            pf_id=pf_id,
            state=DeviceState.AVAILABLE,
            state_at=now,
            **_values(fact),
        )
    )
    if fact.dev_type == DeviceType.PF:
        connection.execute(card.insert().values(pf_device_id=device_id))
    if quarantine_apply(connection, device_id, now):
        card_recount(connection, pf_id or device_id)
    return device_id


def _away(
    connection: sa.Connection, host_id: str, fact: DeviceRow, pf_id: str | None
) -> sa.RowMapping | None:
    """The row of this very function from before it went away, the youngest if there are more."""
    rows = connection.execute(
        sa.select(device)
        .where(
            device.c.host_id == host_id,
            device.c.address == fact.address,
            ~device.c.present,
            *(device.c[name] == getattr(fact, name) for name in _IDENTITY),
        )
        .order_by(device.c.state_at.desc())
    ).mappings()
    return next((row for row in rows if _same(connection, row, fact, pf_id)), None)


def claims_of(connection: sa.Connection, consumer_id: str) -> list[sa.RowMapping]:
    """Every device that *consumer_id* holds: the claim's columns and the device's, by request."""
    rows = connection.execute(
        sa.select(
            claim.c.request_id,
            claim.c.index,
            device,
        )
        .join(device, device.c.id == claim.c.device_id)
        .where(claim.c.consumer_id == consumer_id)
        .order_by(claim.c.request_id, claim.c.index)
    )
    return list(rows.mappings())


def device_provider_set(connection: sa.Connection, device_id: str, provider_id: str | None) -> None:
    connection.execute(
        device.update()
        .where(device.c.id == device_id, device.c.provider_id.is_distinct_from(provider_id))
        .values(provider_id=provider_id)
    )


def devices_to_clean(connection: sa.Connection, host_id: str) -> list[sa.RowMapping]:
    """Devices of a host that wait for cleaning, with their PF's address, by address."""
    pf = device.alias("pf")
    rows = connection.execute(
        sa.select(device, pf.c.address.label("pf_address"), pf.c.netdev.label("pf_netdev"))
        .outerjoin(pf, pf.c.id == device.c.pf_id)
        .where(
            device.c.host_id == host_id,
            device.c.present,
            device.c.state == DeviceState.CLEANING,
        )
        .order_by(device.c.address)
    )
    return list(rows.mappings())


def devices_in_orders(connection: sa.Connection, host_id: str) -> list[tuple[Any, ...]]:
    """What a host's orders say of its devices: equal before and after means orders still hold."""
    pf = device.alias("pf")
    rows = connection.execute(
        sa.select(
            device.c.id,
            device.c.present,
            device.c.vf_index,
            device.c.tags,
            pf.c.address,
            pf.c.netdev,
        )
        .outerjoin(pf, pf.c.id == device.c.pf_id)
        .where(
            device.c.host_id == host_id,
            device.c.state.in_((DeviceState.HELD, DeviceState.CLEANING)),
        )
        .order_by(device.c.id)
    )
    return [tuple(row) for row in rows]


def devices_counted(connection: sa.Connection) -> list[tuple[str, str, str, int]]:
    """How many devices each host has in each state: (host name, resource class, state, number)."""
    rows = connection.execute(
        sa.select(
            host.c.name,
            sa.func.coalesce(device.c.resource_class, ""),
            sa.case((device.c.present, device.c.state), else_="missing"),
            sa.func.count(),
        )
        .join(host, host.c.id == device.c.host_id)
        .where(device.c.listed, sa.or_(device.c.present, device.c.state == DeviceState.HELD))
        .group_by(sa.text("1, 2, 3"))
        .order_by(sa.text("1, 2, 3"))
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def device_host(connection: sa.Connection, device_id: str) -> str | None:
    """The id of the host that has a device; None when there is no such device."""
    mine = sa.select(device.c.host_id).where(device.c.id == device_id)
    host_id: str | None = connection.scalar(mine)
    return host_id


def pf_netdevs(connection: sa.Connection, pf_ids: Sequence[str]) -> dict[str, str | None]:
    """PF's device id to the name of its network interface, None where it has none."""
    rows = connection.execute(
        sa.select(device.c.id, device.c.netdev).where(device.c.id.in_(pf_ids))
    )
    return {row.id: row.netdev for row in rows}

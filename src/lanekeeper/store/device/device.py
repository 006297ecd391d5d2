"""Devices as their hosts tell of them: rows kept in step with facts, states left alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState, DeviceType
from lanekeeper.store.device.claim import card_part
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
    States are not touched here: claims and cleaning own them.
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
        if row is not None and not _same(row, fact):
            _leave(connection, row)
            row = None
        ids[fact.address] = (
            _insert(connection, host_id, fact, pf_id, now)
            if row is None
            else _update(connection, row, fact, pf_id)
        )
    for row in known.values():
        _leave(connection, row)
    return ids


def _same(row: sa.RowMapping, fact: DeviceRow) -> bool:
    serial_differs = row["serial"] and fact.serial and row["serial"] != fact.serial
    return not serial_differs and all(row[name] == getattr(fact, name) for name in _IDENTITY)


def _leave(connection: sa.Connection, row: sa.RowMapping) -> None:
    connection.execute(
        device.update()
        .where(device.c.id == row["id"])
        .values(present=False, generation=device.c.generation + 1)
    )
    if _is_dirty_part(row):
        # It cannot be cleaned while it is away, and must not bar the whole card for ever.
        card_part(connection, row["pf_id"], -1)


def _is_dirty_part(row: sa.RowMapping) -> bool:
    dirty = row["state"] in (DeviceState.CLEANING, DeviceState.QUARANTINED)
    return dirty and row["pf_id"] is not None


def _values(fact: DeviceRow, pf_id: str | None) -> dict[str, Any]:
    values = {name: getattr(fact, name) for name in _FACTS}
    return values | {"tags": dict(fact.tags), "pf_id": pf_id}


def _update(
    connection: sa.Connection, row: sa.RowMapping, fact: DeviceRow, pf_id: str | None
) -> str:
    values = _values(fact, pf_id)
    changed = {name: value for name, value in values.items() if row[name] != value}
    if changed:
        connection.execute(
            device.update()
            .where(device.c.id == row["id"])
            .values(**changed, generation=device.c.generation + 1)
        )
    return str(row["id"])


def _insert(
    connection: sa.Connection, host_id: str, fact: DeviceRow, pf_id: str | None, now: datetime
) -> str:
    back = _away(connection, host_id, fact)
    if back is not None:
        connection.execute(device.update().where(device.c.id == back["id"]).values(present=True))
        if _is_dirty_part(back):
            card_part(connection, back["pf_id"], 1)
        return _update(connection, back, fact, pf_id)
    device_id = str(uuid.uuid4())
    connection.execute(
        device.insert().values(
            id=device_id,
            host_id=host_id,
            address=fact.address,
            state=DeviceState.AVAILABLE,
            state_at=now,
            **_values(fact, pf_id),
        )
    )
    if fact.dev_type == DeviceType.PF:
        connection.execute(card.insert().values(pf_device_id=device_id))
    return device_id


def _away(connection: sa.Connection, host_id: str, fact: DeviceRow) -> sa.RowMapping | None:
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
    return next((row for row in rows if _same(row, fact)), None)


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


def device_rows(connection: sa.Connection, host_id: str | None = None) -> list[sa.RowMapping]:
    """Devices with their host's name, their PF's address and their holder (or None), in order."""
    pf = device.alias("pf")
    query = (
        sa.select(
            device,
            host.c.name.label("host_name"),
            pf.c.address.label("pf_address"),
            claim.c.consumer_id,
            claim.c.request_id,
        )
        .join(host, host.c.id == device.c.host_id)
        .outerjoin(pf, pf.c.id == device.c.pf_id)
        .outerjoin(claim, claim.c.device_id == device.c.id)
        .order_by(host.c.name, device.c.address)
    )
    if host_id is not None:
        query = query.where(device.c.host_id == host_id)
    return list(connection.execute(query).mappings())


def pf_netdevs(connection: sa.Connection, pf_ids: Sequence[str]) -> dict[str, str | None]:
    """PF's device id to the name of its network interface, None where it has none."""
    rows = connection.execute(
        sa.select(device.c.id, device.c.netdev).where(device.c.id.in_(pf_ids))
    )
    return {row.id: row.netdev for row in rows}

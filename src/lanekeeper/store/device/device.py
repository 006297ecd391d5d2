"""Devices as they are asked for: by holder, by host, by what waits for cleaning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.batch import batches
from lanekeeper.store.device.free import IS_UNRESERVED
from lanekeeper.store.device.presence import whereabouts
from lanekeeper.store.tables import claim, device, host

_PF = device.alias("pf")  # to make one takes longer than to ask


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


def pf_drivers(connection: sa.Connection, request_ids: Collection[str]) -> dict[str, str | None]:
    """Request id to the driver of the PF whose VF was claimed for it; no other requests."""
    query = (
        sa.select(claim.c.request_id, _PF.c.driver)
        .join(device, device.c.id == claim.c.device_id)
        .join(_PF, _PF.c.id == device.c.pf_id)
    )
    found: dict[str, str | None] = {}
    for some in batches(request_ids):
        rows = connection.execute(query.where(claim.c.request_id.in_(some)))
        found |= {row.request_id: row.driver for row in rows}
    return found


def devices_provide(connection: sa.Connection, owners: Mapping[str, str | None]) -> None:
    """Have each device (by id) counted by this provider, or by none; most are so already."""
    lost: dict[str | None, list[str]] = defaultdict(list)
    for some in batches(owners):
        found = sa.select(device.c.id, device.c.provider_id).where(device.c.id.in_(some))
        for row in connection.execute(found):
            if row.provider_id != owners[row.id]:
                lost[owners[row.id]].append(row.id)
    for provider_id, ids in lost.items():
        for some in batches(ids):
            connection.execute(
                device.update().where(device.c.id.in_(some)).values(provider_id=provider_id)
            )


def devices_to_clean(connection: sa.Connection, host_id: str) -> list[sa.RowMapping]:
    """Devices of a host that wait for cleaning, with their PF's address, by address."""
    rows = connection.execute(
        sa.select(
            device,
            _PF.c.address.label("pf_address"),
            _PF.c.netdev.label("pf_netdev"),
            sa.func.coalesce(device.c.serial, _PF.c.serial).label("card_serial"),
        )
        .outerjoin(_PF, _PF.c.id == device.c.pf_id)
        .where(
            device.c.host_id == host_id,
            device.c.present,
            device.c.state == DeviceState.CLEANING,
        )
        .order_by(device.c.address)
    )
    return list(rows.mappings())


def devices_known(connection: sa.Connection, host_id: str) -> bool:
    """Whether a host has ever told of a device that is not forgotten."""
    mine = sa.select(device.c.id).where(device.c.host_id == host_id).limit(1)
    return connection.execute(mine).first() is not None


def devices_still_there(
    connection: sa.Connection, host_id: str, unlisted: Mapping[str, str]
) -> dict[str, str]:
    """Those of *unlisted*, ids by address, that were known at their address: not listed any more.

    A host has many functions that nobody ever listed; nothing is kept of those.
    """
    if not unlisted:
        return {}
    mine = sa.select(device.c.address).where(device.c.host_id == host_id)
    known = set(connection.scalars(mine))
    return {address: ids for address, ids in unlisted.items() if address in known}


def devices_in_orders(connection: sa.Connection, host_id: str) -> list[tuple[Any, ...]]:
    """What a host's orders say of its devices: equal before and after means orders still hold."""
    rows = connection.execute(
        sa.select(
            device.c.id,
            device.c.address,
            sa.func.coalesce(device.c.serial, _PF.c.serial).label("card_serial"),
            device.c.present,
            device.c.vf_index,
            device.c.tags,
            device.c.unit,
            _PF.c.address.label("pf_address"),
            _PF.c.netdev,
        )
        .outerjoin(_PF, _PF.c.id == device.c.pf_id)
        .where(
            device.c.host_id == host_id,
            device.c.state.in_((DeviceState.HELD, DeviceState.CLEANING)),
        )
        .order_by(device.c.id)
    )
    return [tuple(row) for row in rows]


def devices_counted(connection: sa.Connection) -> list[tuple[str, str, str, int]]:
    """How many devices each host has in each state: (host name, resource class, state, number).

    What is clean and kept back counts as ``spent``, ``reserved`` or ``retired``; what is held and
    not told of as ``unlisted`` or ``missing``.
    """
    rows = connection.execute(
        sa.select(
            host.c.name,
            sa.func.coalesce(device.c.resource_class, ""),
            sa.case(
                (~device.c.present, whereabouts(connection)),
                (
                    sa.and_(device.c.state == DeviceState.AVAILABLE, ~IS_UNRESERVED),
                    device.c.reserved,
                ),
                else_=device.c.state,
            ),
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

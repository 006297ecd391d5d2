"""Devices as lists show them: with host, PF and holder, as many as a page has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.domain.pci.device import Reserve
from lanekeeper.store.device.free import NEEDS_ATTENTION
from lanekeeper.store.device.presence import whereabouts
from lanekeeper.store.tables import claim, device, host, server

_PF = device.alias("pf")  # to make one takes longer than to ask


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices are meant; what is None does not matter.

    Attributes:
        away: as ``presence.whereabouts`` has it; empty for what its host tells of.
        reserved: kept back in one of these ways.
        waiting: those alone that wait for somebody (``free.NEEDS_ATTENTION``).
        after: id of a device; those that come after it in the order of a list.
        limit: how many at the most.
    """

    id: str | None = None
    host_id: str | None = None
    host_name: str | None = None
    address: str | None = None
    state: str | None = None
    provider_id: str | None = None
    resource_class: str | None = None
    away: str | None = None
    reserved: Sequence[Reserve] | None = None
    waiting: bool = False
    after: str | None = None
    limit: int | None = None


EVERY = DeviceFilter()


def device_rows(connection: sa.Connection, wanted: DeviceFilter = EVERY) -> list[sa.RowMapping]:
    """Devices with their host's name, ``away``, their PF's address and their holder (or None).

    They come by their hosts' names, then by address; a holder that is a server has a name.
    """
    away = whereabouts(connection)
    query = (
        sa.select(
            device,
            away.label("away"),
            host.c.name.label("host_name"),
            _PF.c.address.label("pf_address"),
            claim.c.consumer_id,
            claim.c.request_id,
            server.c.name.label("holder_name"),
        )
        .join(host, host.c.id == device.c.host_id)
        .outerjoin(_PF, _PF.c.id == device.c.pf_id)
        .outerjoin(claim, claim.c.device_id == device.c.id)
        .outerjoin(server, server.c.id == claim.c.consumer_id)
        .order_by(*_PLACE)
        .limit(wanted.limit)
    )
    for column, value in (
        (device.c.id, wanted.id),
        (device.c.host_id, wanted.host_id),
        (host.c.name, wanted.host_name),
        (device.c.address, wanted.address),
        (device.c.state, wanted.state),
        (device.c.provider_id, wanted.provider_id),
        (device.c.resource_class, wanted.resource_class),
        (away, wanted.away),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.reserved is not None:
        query = query.where(device.c.reserved.in_(wanted.reserved))
    if wanted.waiting:
        query = query.where(NEEDS_ATTENTION)
    if wanted.after is not None:
        last = sa.select(*_PLACE).join(host, host.c.id == device.c.host_id)
        place = connection.execute(last.where(device.c.id == wanted.after)).one()
        query = query.where(sa.tuple_(*_PLACE) > sa.tuple_(*map(sa.literal, place)))
    return list(connection.execute(query).mappings())


def vfs_given(connection: sa.Connection, pf_id: str) -> list[str]:
    """The addresses of a PF's VFs that are listed and not retired, in order."""
    mine = sa.select(device.c.address, device.c.reserved).where(
        device.c.pf_id == pf_id, device.c.listed, device.c.present
    )
    rows = connection.execute(mine.order_by(device.c.address))
    return [row.address for row in rows if not Reserve(row.reserved).is_retired]


_PLACE = (host.c.name, device.c.address, device.c.id)
"""Where a device is in a list: two may have had one address, at different times."""

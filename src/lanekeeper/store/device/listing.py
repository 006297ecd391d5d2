"""Devices as lists show them: with host, PF and holder, as many as a page has."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.store.device.free import NEEDS_ATTENTION
from lanekeeper.store.tables import claim, device, host, server

_PF = device.alias("pf")  # to make one takes longer than to ask


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices are meant; what is None does not matter.

    Attributes:
        present: whether its host tells of it.
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
    present: bool | None = None
    waiting: bool = False
    after: str | None = None
    limit: int | None = None


EVERY = DeviceFilter()


def device_rows(connection: sa.Connection, wanted: DeviceFilter = EVERY) -> list[sa.RowMapping]:
    """Devices with their host's name, their PF's address and their holder (or None).

    They come by their hosts' names, then by address; a holder that is a server has a name.
    """
    query = (
        sa.select(
            device,
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
        (device.c.present, wanted.present),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.waiting:
        query = query.where(NEEDS_ATTENTION)
    if wanted.after is not None:
        last = sa.select(*_PLACE).join(host, host.c.id == device.c.host_id)
        place = connection.execute(last.where(device.c.id == wanted.after)).one()
        query = query.where(sa.tuple_(*_PLACE) > sa.tuple_(*map(sa.literal, place)))
    return list(connection.execute(query).mappings())


_PLACE = (host.c.name, device.c.address, device.c.id)
"""Where a device is in a list: two may have had one address, at different times."""

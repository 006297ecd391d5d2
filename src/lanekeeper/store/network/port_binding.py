"""Bindings of a port on hosts where it may go; its own row is where it is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.network.port import PortRecord, PortStatus, VifType, VnicType
from lanekeeper.domain.network.port_binding import PortBinding
from lanekeeper.store.row import row_insert_new, row_update
from lanekeeper.store.tables import port, port_binding


def binding_list(connection: sa.Connection, port_id: str) -> tuple[PortBinding, ...]:
    """The INACTIVE bindings of a port, by host."""
    query = sa.select(port_binding).where(port_binding.c.port_id == port_id)
    rows = connection.execute(query.order_by(port_binding.c.host_name)).mappings()
    return tuple(_record(row) for row in rows)


def binding_insert(connection: sa.Connection, port_id: str, new: PortBinding) -> bool:
    """Add an INACTIVE binding; False when there is one on that host."""
    return row_insert_new(connection, port_binding, {"port_id": port_id, **_values(new)})


def binding_replace(
    connection: sa.Connection, port_id: str, host_name: str, new: PortBinding
) -> bool:
    """Put *new* in place of the INACTIVE binding on a host; False when it cannot be there."""
    bindings_drop(connection, port_id, (host_name,))
    return binding_insert(connection, port_id, new)


def binding_activate(
    connection: sa.Connection, present: PortRecord, host_name: str, now: datetime
) -> bool:
    """Have a port be where an INACTIVE binding of it says; False when there is none on that host.

    Where it was becomes an INACTIVE binding, bound to nothing. Devices and bandwidth are their
    claimer's to move.
    """
    taken = connection.execute(
        port_binding.delete().where(_on(present.id, host_name)).returning(*port_binding.c)
    ).mappings()
    row = taken.one_or_none()
    if row is None:
        return False
    if present.host_name:
        was = PortBinding(
            host_name=present.host_name, vnic_type=present.vnic_type, profile=present.profile
        )
        binding_insert(connection, present.id, was)
    values = {
        "binding_host": row["host_name"],
        "vnic_type": row["vnic_type"],
        "binding_profile": row["profile"],
        "vif_type": row["vif_type"],
        "vif_details": row["vif_details"],
        "segment_id": row["segment_id"],
        "binding_failure": "",
        "status": PortStatus.DOWN,
    }
    return row_update(connection, port, present.id, values, now=now)


def bindings_drop(
    connection: sa.Connection, port_id: str, host_names: Collection[str] | None = None
) -> bool:
    """Remove INACTIVE bindings, on all hosts unless some are named; whether there was one."""
    mine = port_binding.c.port_id == port_id
    if host_names is not None:
        mine &= port_binding.c.host_name.in_(host_names)
    return connection.execute(port_binding.delete().where(mine)).rowcount > 0


def _on(port_id: str, host_name: str) -> sa.ColumnElement[bool]:
    return sa.and_(port_binding.c.port_id == port_id, port_binding.c.host_name == host_name)


def _values(binding: PortBinding) -> dict[str, Any]:
    return {
        "host_name": binding.host_name,
        "vnic_type": binding.vnic_type,
        "profile": dict(binding.profile),
        "vif_type": binding.vif_type,
        "vif_details": dict(binding.vif_details),
        "segment_id": binding.segment_id,
    }


def _record(row: sa.RowMapping) -> PortBinding:
    return PortBinding(
        host_name=row["host_name"],
        vnic_type=VnicType(row["vnic_type"]),
        profile=row["profile"],
        vif_type=VifType(row["vif_type"]),
        vif_details=row["vif_details"],
        segment_id=row["segment_id"],
    )

"""What hosts have told of the VFs of ports, a row a port."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port_vf import Mend, PortVf
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.store.row import GONE
from lanekeeper.store.tables import port, port_vf, server


@dataclass(frozen=True, slots=True)
class Carrier:
    """A server that has a port, and what is known of the port's VF."""

    server_id: str
    project_id: str
    vf: PortVf | None


def vf_carriers(connection: sa.Connection, host_id: str) -> dict[str, Carrier]:
    """The ports of a host's servers, by id."""
    rows = connection.execute(
        sa.select(
            port.c.id.label("port"),
            server.c.id.label("server"),
            server.c.project_id.label("project"),
            port_vf,
        )
        .join(port, port.c.device_id == server.c.id)
        .outerjoin(port_vf, port_vf.c.port_id == port.c.id)
        .where(server.c.host_id == host_id)
    ).mappings()
    return {
        row["port"]: Carrier(
            row["server"], row["project"], None if row["port_id"] is None else _record(row)
        )
        for row in rows
    }


def vfs_of_host(connection: sa.Connection, host_id: str) -> dict[str, PortVf]:
    """What a host has told, by port, also of ports that its servers have no more."""
    rows = connection.execute(sa.select(port_vf).where(port_vf.c.host_id == host_id)).mappings()
    return {row["port_id"]: _record(row) for row in rows}


def vf_get(connection: sa.Connection, port_id: str) -> PortVf | None:
    rows = connection.execute(sa.select(port_vf).where(port_vf.c.port_id == port_id)).mappings()
    row = rows.first()
    return None if row is None else _record(row)


def ports_held_down(
    connection: sa.Connection, host_id: str | None, port_ids: Collection[str]
) -> frozenset[str]:
    """Those of *port_ids* whose links a host keeps down."""
    mine = (port_vf.c.host_id == host_id) & port_vf.c.port_id.in_(port_ids)
    held = sa.select(port_vf.c.port_id).where(mine, port_vf.c.held_down != "")
    return frozenset(connection.scalars(held))


def vfs_put(connection: sa.Connection, new: Sequence[PortVf], changed: Sequence[PortVf]) -> None:
    """Write down what is told; *changed* have a row already.

    Raises:
        Conflict: a port was just deleted; the transaction must be left.
    """
    if changed:
        mine = port_vf.c.port_id == sa.bindparam("this_port")
        columns: dict[str, Any] = {
            one.name: sa.bindparam(one.name) for one in port_vf.c if one is not port_vf.c.port_id
        }
        rows = [_values(one) for one in changed]
        for row in rows:
            row["this_port"] = row.pop("port_id")
        connection.execute(port_vf.update().where(mine).values(columns), rows)
    if new:
        try:
            connection.execute(port_vf.insert(), [_values(one) for one in new])
        except IntegrityError as error:
            raise Conflict("a port whose VF is told of was just deleted", code=GONE) from error


def _values(one: PortVf) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in PortVf.__slots__}
    return told | {name: msgspec.to_builtins(told[name]) for name in ("found", "unknown", "mended")}


def _record(row: Mapping[Any, Any]) -> PortVf:
    return PortVf(
        port_id=row["port_id"],
        host_id=row["host_id"],
        address=row["address"],
        found=typed.convert(row["found"], VfSettings | None),
        unknown=tuple(row["unknown"]),
        mended=typed.convert(row["mended"], Mend | None),
        since=row["since"],
        noted_at=row["noted_at"],
        held_down=row["held_down"],
    )

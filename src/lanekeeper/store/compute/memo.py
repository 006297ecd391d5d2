"""All rows of one server as plain data, and putting them back: what a host keeps for us."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.store.row import row_insert_new
from lanekeeper.store.tables import (
    Moment,
    address,
    allocation,
    claim,
    device,
    port,
    security_group,
    server,
)
from lanekeeper.store.topology.claim import seats_of

Plain = dict[str, Any]

_OF_THE_MOMENT = {"fault", "console_wanted_until", "task_state", "terminated_at", "host_id"}


def memos_read(connection: sa.Connection, server_ids: Collection[str]) -> dict[str, Plain]:
    """The rows that belong to servers that are there, by server, moments as they are."""
    columns = [column for column in server.c if column.name not in _OF_THE_MOMENT]
    memos: dict[str, Plain] = {
        row["id"]: {
            "server": dict(row), "ports": [], "addresses": [], "claims": [], "amounts": {},
            "seats": [],
        }
        for row in _rows(connection, sa.select(*columns).where(server.c.id.in_(server_ids)))
    }  # fmt: skip
    holder_by_port = {}
    for row in _rows(connection, sa.select(port).where(port.c.device_id.in_(server_ids))):
        memos[row["device_id"]]["ports"].append(dict(row))
        holder_by_port[row["id"]] = row["device_id"]
    mine = sa.select(address).where(address.c.port_id.in_(holder_by_port))
    for row in _rows(connection, mine):
        memos[holder_by_port[row["port_id"]]]["addresses"].append(dict(row))
    claims = (
        sa.select(claim.c.consumer_id, claim.c.request_id, claim.c.index, device.c.address)
        .join(device, device.c.id == claim.c.device_id)
        .where(claim.c.consumer_id.in_(server_ids))
    )
    for row in _rows(connection, claims):
        memos[row["consumer_id"]]["claims"].append(dict(row))
    taken = (  # of the host itself; what ports hold of cards is with the ports
        sa.select(allocation)
        .join(server, server.c.id == allocation.c.consumer_id)
        .where(server.c.id.in_(server_ids), allocation.c.provider_id == server.c.host_id)
    )
    for row in _rows(connection, taken):
        memos[row["consumer_id"]]["amounts"][row["resource_class"]] = row["used"]
    for consumer_id, seats in seats_of(connection, server_ids).items():
        memos[consumer_id]["seats"] = list(seats)
    return memos


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.RowMapping]:
    return iter(connection.execute(query).mappings())


def memo_server_insert(connection: sa.Connection, told: Mapping[str, Any], **changed: Any) -> None:
    """Put a server's row back, with some columns *changed*.

    Raises:
        Conflict: there is one with its id.
    """
    values = {**_values(server, told), **changed}
    if not row_insert_new(connection, server, values):
        raise Conflict(f"there is a server {values['id']} already")


_NO_BANDWIDTH = {"bandwidth_provider_id": None, "egress_kbps": 0, "ingress_kbps": 0}


def memo_port_put(
    connection: sa.Connection,
    told: Mapping[str, Any],
    addresses: list[Plain],
    now: datetime,
) -> None:
    """Put a port back as *told*, held by its ``device_id``; it is made anew if it is not there.

    It holds no bandwidth yet.

    Raises:
        Conflict: another server has it, or its MAC or an address was given to somebody else. The
            transaction, or its savepoint, must be left.
    """
    values = _values(port, told) | {"updated_at": now, **_NO_BANDWIDTH}
    there = sa.select(port.c.device_id).where(port.c.id == values["id"])
    holder = connection.scalar(there)
    if holder is None:
        groups = sa.select(security_group.c.id).where(
            security_group.c.id.in_(values.get("security_groups", []))
        )
        values["security_groups"] = list(connection.scalars(groups))
        if not row_insert_new(connection, port, values):
            raise Conflict(f"MAC {values['mac_address']} of port {values['id']} is given already")
        for one in addresses:
            _address_put(connection, one)
        return
    if holder not in ("", values["device_id"]):
        raise Conflict(f"port {values['id']} is in use by server {holder}")
    bound = ("device_id", "device_owner", "binding_host", "binding_profile", "vif_type",
             "vif_details", "binding_failure", "segment_id", "status", "mac_address",
             "updated_at")  # fmt: skip
    connection.execute(
        port.update()
        .where(port.c.id == values["id"])
        .values(
            {name: values[name] for name in bound if name in values}  # an older memo lacks some
            | {"revision": port.c.revision + 1}
        )
    )


def _address_put(connection: sa.Connection, told: Mapping[str, Any]) -> None:
    if not row_insert_new(connection, address, _values(address, told)):
        raise Conflict(f"address {told['ip']} is given to another port")


def _values(table: sa.Table, told: Mapping[str, Any]) -> dict[str, Any]:
    """What *told* says of the table's columns; JSON has no moments, only their text."""
    return {
        column.name: datetime.fromisoformat(told[column.name])
        if isinstance(column.type, Moment) and told[column.name] is not None
        else told[column.name]
        for column in table.c
        if column.name in told
    }

"""Ports: read, made, changed and deleted."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.network.address import Draw, draw_mac
from lanekeeper.domain.network.binding import Binding
from lanekeeper.domain.network.fixed_ip import FixedIpAsked, plan_addresses
from lanekeeper.domain.network.port import (
    STANDBY,
    FixedIpWanted,
    PortRecord,
    PortStatus,
    PortWanted,
    VifType,
    VnicType,
)
from lanekeeper.store.network.network import network_show
from lanekeeper.store.network.port_row import port_records, port_values
from lanekeeper.store.network.subnet import address_take, subnets_on
from lanekeeper.store.row import check_revision, row_insert_new
from lanekeeper.store.tables import address, network, port

FILTERS = frozenset(
    {"id", "name", "project_id", "network_id", "device_id", "mac_address", "device_owner"}
    | {"qos_policy_id", "binding_host"}
)

MAC_TRIES = 64
"""16 million MACs are drawn from; that many misses in a row mean a network full of ports."""


# Reading ------------------------------------------------------------------------------------------


def port_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    fixed_ips: Collection[FixedIpAsked] = (),
    project_id: str | None = None,
) -> tuple[PortRecord, ...]:
    """Read ports, oldest first.

    *wanted* narrows by FILTERS; *fixed_ips* to those with an address that any of them asks for;
    *project_id* to what that project sees: its own, and all on its own networks.
    """
    query = _query()
    for column, values in (wanted or {}).items():
        query = query.where(port.c[column].in_(values))
    if fixed_ips:
        having = sa.select(address.c.port_id).where(sa.or_(*map(_asked, fixed_ips)))
        query = query.where(port.c.id.in_(having))
    if project_id is not None:
        own = (port.c.project_id == project_id, network.c.project_id == project_id)
        query = query.where(sa.or_(*own))
    return port_records(connection, query)


def _asked(one: FixedIpAsked) -> sa.ColumnElement[bool]:
    if one.is_part:
        return address.c.ip.contains(one.value, autoescape=True)
    column = address.c.ip if one.name == "ip_address" else address.c.subnet_id
    return column == one.value


def _query() -> sa.Select[Any]:
    return (
        sa.select(
            port,
            network.c.name.label("network_name"),
            network.c.mtu,
            network.c.qos_policy_id.label("qos_network_policy_id"),
        )
        .join(network, network.c.id == port.c.network_id)
        .order_by(port.c.created_at, port.c.id)
    )


def port_show(
    connection: sa.Connection, port_id: str, *, project_id: str | None = None
) -> PortRecord | None:
    """Read one port; None when it is not there, or not for *project_id* to see."""
    found = port_list(connection, {"id": (port_id,)}, project_id=project_id)
    return found[0] if found else None


def ports_for_server(
    connection: sa.Connection, project_id: str | None, port_ids: Sequence[str]
) -> tuple[PortRecord, ...]:
    """Read the ports that a new server names, in its order; *project_id* None means any project's.

    Raises:
        NotFound: code PortNotFound; one is not there, or not the project's.
    """
    found = {one.id: one for one in port_list(connection, {"id": port_ids}, project_id=project_id)}
    for port_id in port_ids:
        if port_id not in found:
            raise port_missing(port_id)
    return tuple(found[port_id] for port_id in port_ids)


def ports_of_server(connection: sa.Connection, server_id: str) -> tuple[PortRecord, ...]:
    """Read the ports that a server holds, oldest first."""
    return port_list(connection, {"device_id": (server_id,)})


def ports_switched(connection: sa.Connection) -> tuple[PortRecord, ...]:
    """Read all ports that have a card on a virtual switch, alone or beside a VF."""
    bridge = port.c.vif_details[STANDBY]["bridge_name"].as_string()
    here = sa.or_(port.c.vif_type == VifType.OVS, bridge.is_not(None))
    return port_records(connection, _query().where(here))


def port_missing(port_id: str) -> NotFound:
    return NotFound(f"Port {port_id} could not be found", code="PortNotFound")


# Making -------------------------------------------------------------------------------------------


def port_create(
    connection: sa.Connection,
    wanted: PortWanted,
    *,
    project_id: str,
    now: datetime,
    draw: Draw = secrets.randbelow,
) -> PortRecord:
    """Make a port with its MAC, its addresses and its default security group; not yet bound.

    Raises:
        NotFound: code NetworkNotFound.
        Invalid: an address that does not fit the network.
        Conflict: codes MacAddressInUse, MacAddressGenerationFailure, IpAddressAlreadyAllocated,
            IpAddressGenerationFailure. The transaction must be left.
    """
    on = network_show(connection, wanted.network_id)
    if on is None:
        raise NotFound(f"Network {wanted.network_id} could not be found", code="NetworkNotFound")
    port_id = str(uuid.uuid4())
    values = port_values(connection, wanted, on, project_id, now)
    mac = _insert(connection, {"id": port_id, **values}, wanted.mac, draw)
    planned = plan_addresses(wanted.fixed_ips, subnets_on(connection, on.id), mac)
    for position, one in enumerate(planned):
        address_take(connection, port_id, one, position, draw)
    made = port_show(connection, port_id)
    assert made is not None, "a port just made is there"
    return made


_MADE = {
    VnicType.DIRECT: "made with the server, which named a network: a VF (vnic_type direct)",
    VnicType.MACVTAP: "made with the server, which named a network: a macvtap on a VF "
    "(vnic_type macvtap)",
    VnicType.DIRECT_PHYSICAL: "made with the server, which named a network: a whole card "
    "(vnic_type direct-physical)",
}
"""Where a user looks who expected a port on a virtual switch."""


def port_create_for_server(
    connection: sa.Connection,
    network_id: str,
    project_id: str,
    *,
    fixed_ip: str | None = None,
    vnic_type: VnicType = VnicType.NORMAL,
    security_groups: tuple[str, ...] | None = None,
    tags: tuple[str, ...] = (),
    now: datetime,
    draw: Draw = secrets.randbelow,
) -> PortRecord:
    """Make a port for a server that was given a network; ``port_drop_for_server`` deletes it.

    ``port_attach`` follows, once a host is chosen.

    Raises:
        NotFound, Invalid, Conflict: as ``port_create``.
    """
    wanted = PortWanted(
        network_id=network_id,
        description=_MADE.get(vnic_type, ""),
        vnic_type=vnic_type,
        fixed_ips=(FixedIpWanted(ip=fixed_ip),) if fixed_ip else None,
        security_groups=security_groups,
        tags=tags,
        created_by_server=True,
    )
    return port_create(connection, wanted, project_id=project_id, now=now, draw=draw)


# Changing -----------------------------------------------------------------------------------------


def unbound() -> dict[str, Any]:
    """The columns of a port that is bound nowhere."""
    return {
        "binding_host": "",
        "vif_type": VifType.UNBOUND,
        "vif_details": {},
        "binding_failure": "",
        "segment_id": None,
        "status": PortStatus.DOWN,
        "bandwidth_provider_id": None,
        "egress_kbps": 0,
        "ingress_kbps": 0,
    }


def port_bind(connection: sa.Connection, port_id: str, bound: Binding | str) -> None:
    """Write what binding came to: the place of the port, or as text why it has none."""
    values: dict[str, Any] = {
        "vif_type": VifType.FAILED,
        "vif_details": {},
        "binding_failure": bound,
        "segment_id": None,
        "status": PortStatus.DOWN,
    }
    if isinstance(bound, Binding):
        values |= {
            "vif_type": bound.vif_type,
            "vif_details": dict(bound.vif_details),
            "binding_failure": "",
            "segment_id": bound.segment.id,
        }
    connection.execute(port.update().where(port.c.id == port_id).values(values))


def port_set_mac(connection: sa.Connection, port_id: str, mac: str) -> None:
    """Give a port another MAC.

    Raises:
        Conflict: code MacAddressInUse.
    """
    try:
        with connection.begin_nested():
            connection.execute(port.update().where(port.c.id == port_id).values(mac_address=mac))
    except IntegrityError as error:
        raise _mac_in_use(mac) from error


def port_write(connection: sa.Connection, port_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of a port that ``row_update`` holds already; its revision stays."""
    if values:
        connection.execute(port.update().where(port.c.id == port_id).values(**values))


def port_delete(
    connection: sa.Connection, port_id: str, *, held_by: str = "", revision: int | None = None
) -> bool:
    """Delete a port that *held_by* holds, by default nobody; returns whether it did.

    Raises:
        Stale: *revision* is not the present one.
    """
    check_revision(connection, port, port_id, revision)
    gone = connection.execute(
        port.delete().where(port.c.id == port_id, port.c.device_id == held_by)
    )
    return gone.rowcount == 1


def _insert(
    connection: sa.Connection, values: Mapping[str, Any], mac: str | None, draw: Draw
) -> str:
    for _ in range(MAC_TRIES):
        chosen = mac or draw_mac(draw)
        if row_insert_new(connection, port, {**values, "mac_address": chosen}):
            return chosen
        if mac:
            raise _mac_in_use(mac)
    raise Conflict(
        f"no free MAC was found for network {values['network_id']}",
        hint="name one in mac_address",
        code="MacAddressGenerationFailure",
    )


def _mac_in_use(mac: str) -> Conflict:
    return Conflict(
        f"MAC address {mac} is in use on this network",
        hint="choose another, or leave the choice to Lanekeeper",
        code="MacAddressInUse",
    )

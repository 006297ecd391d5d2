"""Subnets and the addresses taken from them. The address's key says that it is given once."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.address import Draw, Pool, drawn, free
from lanekeeper.domain.network.fixed_ip import AddressWanted
from lanekeeper.domain.network.port import FixedIp
from lanekeeper.domain.network.subnet import (
    AddressPlan,
    SubnetRecord,
    SubnetWanted,
    no_address_left,
)
from lanekeeper.store.network.network import SERVES_NETWORK, visible_to
from lanekeeper.store.network.rbac import is_shared_with
from lanekeeper.store.row import check_revision, row_insert_new
from lanekeeper.store.tables import address, network, port, subnet

FILTERS = frozenset({"id", "name", "project_id", "network_id", "cidr"})

_DRAWS = 8
"""Tries at random before the lowest free address is looked for: enough unless pools are full."""


def subnet_list(
    connection: sa.Connection,
    wanted: Mapping[str, Collection[str]] | None = None,
    *,
    project_id: str | None = None,
) -> tuple[SubnetRecord, ...]:
    """Read subnets, oldest first; *wanted* and *project_id* as for ``network_list``."""
    query = (
        sa.select(subnet, is_shared_with(project_id).label("shared"), network.c.external)
        .join(network, network.c.id == subnet.c.network_id)
        .order_by(subnet.c.created_at, subnet.c.id)
    )
    for column, values in (wanted or {}).items():
        query = query.where(subnet.c[column].in_(values))
    if project_id is not None:
        query = query.where(sa.or_(subnet.c.project_id == project_id, visible_to(project_id)))
    return tuple(_record(row) for row in connection.execute(query).mappings())


def subnet_show(
    connection: sa.Connection, subnet_id: str, *, project_id: str | None = None
) -> SubnetRecord | None:
    """Read one subnet; None when it is not there, or not for *project_id* to see."""
    found = subnet_list(connection, {"id": (subnet_id,)}, project_id=project_id)
    return found[0] if found else None


def subnets_on(connection: sa.Connection, network_id: str) -> tuple[SubnetRecord, ...]:
    """Read the subnets of one network."""
    return subnet_list(connection, {"network_id": (network_id,)})


def subnets_by_id(connection: sa.Connection, subnet_ids: Iterable[str]) -> dict[str, SubnetRecord]:
    """Read the subnets that the ports of a server have addresses on."""
    found = subnet_list(connection, {"id": tuple(set(subnet_ids))})
    return {one.id: one for one in found}


def subnet_insert(
    connection: sa.Connection,
    subnet_id: str,
    wanted: SubnetWanted,
    plan: AddressPlan,
    *,
    project_id: str,
    now: datetime,
) -> None:
    """Make a subnet of what was asked for and its checked addresses."""
    connection.execute(
        subnet.insert().values(
            id=subnet_id,
            network_id=wanted.network_id,
            project_id=project_id,
            name=wanted.name,
            description=wanted.description,
            ip_version=wanted.ip_version,
            cidr=str(plan.network),
            gateway_ip=str(plan.gateway) if plan.gateway is not None else None,
            enable_dhcp=wanted.enable_dhcp,
            allocation_pools=pools_text(plan.pools),
            dns_nameservers=list(plan.dns_nameservers),
            host_routes=list(plan.host_routes),
            ipv6_ra_mode=wanted.ipv6_ra_mode,
            ipv6_address_mode=wanted.ipv6_address_mode,
            tags=list(wanted.tags),
            created_at=now,
            updated_at=now,
        )
    )


def pools_text(pools: Sequence[Pool]) -> list[dict[str, str]]:
    """Pools as they are stored and shown."""
    return [{"start": pool.start, "end": pool.end} for pool in pools]


def subnet_delete(
    connection: sa.Connection, subnet_id: str, *, automatic: bool, revision: int | None = None
) -> None:
    """Delete a subnet; with *automatic*, the addresses that guests made of it go along.

    So does the one from which it was answered, and the port that has no other.

    Raises:
        Stale: *revision* is not the present one.
        Conflict: code SubnetInUse; ports have addresses of it.
    """
    check_revision(connection, subnet, subnet_id, revision)
    _drop_answering(connection, subnet_id)
    if automatic:
        connection.execute(address.delete().where(address.c.subnet_id == subnet_id))
    holders = sa.select(address.c.port_id).where(address.c.subnet_id == subnet_id).limit(3)
    left = list(connection.scalars(holders))
    if left:
        raise _in_use(subnet_id, left)
    try:
        with connection.begin_nested():
            connection.execute(subnet.delete().where(subnet.c.id == subnet_id))
    except IntegrityError as error:  # an address was taken between the look and the deletion
        raise _in_use(subnet_id, ()) from error


def address_take(
    connection: sa.Connection,
    port_id: str,
    wanted: AddressWanted,
    position: int,
    draw: Draw = secrets.randbelow,
) -> FixedIp:
    """Take one address for a port.

    At random first, so that rivals seldom meet; then the lowest that is free.

    Raises:
        Conflict: codes IpAddressAlreadyAllocated, IpAddressGenerationFailure.
    """
    if wanted.ip is not None:
        return _take_named(connection, port_id, wanted, position)
    for one in wanted.subnets:
        for ip in drawn(one.pools, draw, _DRAWS):
            if _put(connection, one.id, ip, port_id, position):
                return FixedIp(one.id, ip)
        for ip in free(one.pools, _taken(connection, one.id)):
            if _put(connection, one.id, ip, port_id, position):
                return FixedIp(one.id, ip)
    raise no_address_left(wanted.subnets)


def address_drop(connection: sa.Connection, port_id: str, fixed: FixedIp) -> None:
    """Give one address of a port back."""
    connection.execute(
        address.delete().where(
            address.c.port_id == port_id,
            address.c.subnet_id == fixed.subnet_id,
            address.c.ip == fixed.ip,
        )
    )


def addresses_used(connection: sa.Connection, subnet_ids: Iterable[str]) -> dict[str, int]:
    """How many addresses are taken of each subnet; one that has none is not named."""
    rows = connection.execute(
        sa.select(address.c.subnet_id, sa.func.count().label("taken"))
        .where(address.c.subnet_id.in_(tuple(subnet_ids)))
        .group_by(address.c.subnet_id)
    )
    return {row.subnet_id: row.taken for row in rows}


def addresses_free(connection: sa.Connection, subnets: Iterable[SubnetRecord]) -> dict[str, int]:
    """How many addresses in the pools of each subnet nobody has."""
    free = {}
    for one in subnets:
        taken = _taken(connection, one.id)
        in_pools = sum(any(number in pool for pool in one.pools) for number in taken)
        free[one.id] = sum(pool.count for pool in one.pools) - in_pools
    return free


def _take_named(
    connection: sa.Connection, port_id: str, wanted: AddressWanted, position: int
) -> FixedIp:
    (one,) = wanted.subnets
    assert wanted.ip is not None
    if not _put(connection, one.id, wanted.ip, port_id, position):
        raise Conflict(
            f"IP address {wanted.ip} is already allocated in subnet {one.id}",
            hint="choose another, or leave the choice to Lanekeeper",
            code="IpAddressAlreadyAllocated",
        )
    return FixedIp(one.id, wanted.ip)


def _put(connection: sa.Connection, subnet_id: str, ip: str, port_id: str, position: int) -> bool:
    values = {"subnet_id": subnet_id, "ip": ip, "port_id": port_id, "position": position}
    return row_insert_new(connection, address, values)


def _taken(connection: sa.Connection, subnet_id: str) -> frozenset[int]:
    rows = connection.scalars(sa.select(address.c.ip).where(address.c.subnet_id == subnet_id))
    return frozenset(int(ipaddress.ip_address(ip)) for ip in rows)


def _drop_answering(connection: sa.Connection, subnet_id: str) -> None:
    answering = list(
        connection.scalars(
            sa.select(port.c.id)
            .join(address, address.c.port_id == port.c.id)
            .where(address.c.subnet_id == subnet_id, port.c.device_owner == SERVES_NETWORK)
        )
    )
    if not answering:
        return
    connection.execute(
        address.delete().where(address.c.subnet_id == subnet_id, address.c.port_id.in_(answering))
    )
    others = sa.select(address.c.port_id).where(address.c.port_id.in_(answering))
    connection.execute(port.delete().where(port.c.id.in_(answering), port.c.id.not_in(others)))


def _in_use(subnet_id: str, ports: Sequence[str]) -> Conflict:
    named = f": {', '.join(ports)}" if ports else ""
    return Conflict(
        f"subnet {subnet_id} has addresses that ports use{named}",
        hint="delete those ports first",
        code="SubnetInUse",
    )


def _pool(version: int, text: Mapping[str, str]) -> Pool:
    first, last = (int(ipaddress.ip_address(text[end])) for end in ("start", "end"))
    return Pool(version, first, last)


def _record(row: sa.RowMapping) -> SubnetRecord:
    return SubnetRecord(
        id=row["id"],
        network_id=row["network_id"],
        project_id=row["project_id"],
        name=row["name"],
        description=row["description"],
        ip_version=row["ip_version"],
        cidr=row["cidr"],
        gateway_ip=row["gateway_ip"],
        enable_dhcp=row["enable_dhcp"],
        pools=tuple(_pool(row["ip_version"], pool) for pool in row["allocation_pools"]),
        dns_nameservers=tuple(row["dns_nameservers"]),
        host_routes=tuple(row["host_routes"]),
        ipv6_ra_mode=row["ipv6_ra_mode"],
        ipv6_address_mode=row["ipv6_address_mode"],
        tags=tuple(row["tags"]),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        shared=row["shared"],
        external=row["external"],
    )

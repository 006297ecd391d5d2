"""Subnets: what a caller can want of them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.dhcp import lock_answering, touch_answering
from lanekeeper.control.network.network import visible_network
from lanekeeper.control.network.port import lock_holders, touch_holders
from lanekeeper.control.network.quota import within_network_quota
from lanekeeper.control.network.scope import demand_owner, missing, owner_of_new, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.network.address import check_apart, parse_cidr, parse_ip
from lanekeeper.domain.network.fixed_ip import own_addresses
from lanekeeper.domain.network.network import NetworkRecord, check_mtu_of_subnet
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.quota import Resource
from lanekeeper.domain.network.subnet import (
    SubnetRecord,
    SubnetWanted,
    check_dhcp,
    check_dhcp_of_modes,
    check_no_overlap,
    plan_dns,
    plan_gateway,
    plan_pools,
    plan_routes,
    plan_subnet,
)
from lanekeeper.store import tables
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.subnet import (
    address_take,
    addresses_used,
    pools_text,
    subnet_delete,
    subnet_insert,
    subnet_list,
    subnet_show,
    subnets_on,
)
from lanekeeper.store.row import row_update


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetChange:
    """What is to change; None, and columns absent from *values*, stay.

    Attributes:
        gateway_ip: the new gateway in a tuple of one, in which None means no gateway.
        revision: the one that must still be the present one, or None.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    gateway_ip: tuple[str | None] | None = None
    pools: tuple[tuple[str, str], ...] | None = None
    dns_nameservers: tuple[str, ...] | None = None
    host_routes: tuple[tuple[str, str], ...] | None = None
    revision: int | None = None


def list_subnets(
    site: Site, caller: Caller, wanted: Mapping[str, Collection[str]]
) -> tuple[SubnetRecord, ...]:
    """What *caller* sees, oldest first, narrowed by ``store.subnet.FILTERS``."""
    with site.database.read() as connection:
        return subnet_list(connection, wanted, project_id=scope(caller))


def show_subnet(site: Site, caller: Caller, subnet_id: str) -> SubnetRecord:
    """One subnet.

    Raises:
        NotFound: code SubnetNotFound.
    """
    with site.database.read() as connection:
        return _visible(connection, caller, subnet_id)


def create_subnets(
    site: Site, caller: Caller, wanted: Sequence[SubnetWanted]
) -> tuple[SubnetRecord, ...]:
    """Make all subnets, or none.

    Raises:
        NotFound: the network.
        Forbidden: on another project's network, or for another project.
        Invalid, Conflict: see ``plan_subnet``; overlap with another subnet of the network.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[tuple[SubnetRecord, ...], tuple[str, ...]]:
        hosts = lock_answering(connection, {one.network_id for one in wanted})
        automatic = {one.network_id for one in wanted if one.is_automatic}
        lock_holders(connection, _ports_on(connection, automatic))
        made = tuple(_create(connection, site, caller, one, now) for one in wanted)
        moved = _add_own_addresses(connection, made)
        touch_answering(connection, hosts)
        return made, (*hosts, *touch_holders(connection, moved))

    made, hosts = site.database.write(work)
    site.bells.ring_all(hosts)
    return made


def update_subnet(site: Site, caller: Caller, subnet_id: str, change: SubnetChange) -> SubnetRecord:
    """Change a subnet.

    Raises:
        NotFound, Forbidden: not there, or another project's.
        Stale: the revision is another one.
        Invalid, Conflict: see ``plan_subnet``.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[SubnetRecord, tuple[str, ...]]:
        present = _visible(connection, caller, subnet_id)
        demand_owner(caller, present.project_id, "update_subnet")
        hosts = lock_answering(connection, [present.network_id])
        values = {**change.values, **_planned(present, change)}
        row_update(connection, tables.subnet, subnet_id, values, now=now, revision=change.revision)
        touch_answering(connection, hosts)
        return _visible(connection, caller, subnet_id), hosts

    changed, hosts = site.database.write(work)
    site.bells.ring_all(hosts)
    return changed


def delete_subnet(site: Site, caller: Caller, subnet_id: str, revision: int | None = None) -> None:
    """Delete a subnet of which no port has an address.

    Raises:
        NotFound, Forbidden, Stale: as ``update_subnet``.
        Conflict: code SubnetInUse.
    """

    def work(connection: sa.Connection) -> tuple[str, ...]:
        present = _visible(connection, caller, subnet_id)
        demand_owner(caller, present.project_id, "delete_subnet")
        hosts = lock_answering(connection, [present.network_id])
        own = _ports_on(connection, [present.network_id] if present.is_automatic else [])
        lock_holders(connection, own)
        subnet_delete(connection, subnet_id, automatic=present.is_automatic, revision=revision)
        touch_answering(connection, hosts)
        return (*hosts, *touch_holders(connection, own))

    site.bells.ring_all(site.database.write(work))


def count_addresses(
    site: Site, caller: Caller, network_id: str
) -> tuple[NetworkRecord, tuple[tuple[SubnetRecord, int], ...]]:
    """A network and how many addresses are taken of each of its subnets.

    Raises:
        NotFound: code NetworkNotFound.
    """
    with site.database.read() as connection:
        network = visible_network(connection, caller, network_id)
        subnets = subnets_on(connection, network_id)
        used = addresses_used(connection, network.subnets)
    return network, tuple((subnet, used.get(subnet.id, 0)) for subnet in subnets)


def _create(
    connection: sa.Connection, site: Site, caller: Caller, wanted: SubnetWanted, now: datetime
) -> SubnetRecord:
    network = visible_network(connection, caller, wanted.network_id)
    demand_owner(caller, network.project_id, "create_subnet")
    owner = owner_of_new(caller, wanted.project_id or network.project_id, "subnet")
    plan = plan_subnet(wanted)
    # Holds the network's row until the commit, so two overlapping subnets cannot both pass.
    row_update(connection, tables.network, network.id, {}, now=now)
    check_no_overlap(plan.network, subnets_on(connection, network.id))
    check_mtu_of_subnet(network.mtu, plan.network.version)
    subnet_id = str(uuid.uuid4())
    with within_network_quota(connection, site, owner, Resource.SUBNET):
        subnet_insert(connection, subnet_id, wanted, plan, project_id=owner, now=now)
    made = subnet_show(connection, subnet_id)
    assert made is not None, "a subnet just made is there"
    return made


def _add_own_addresses(
    connection: sa.Connection, made: Sequence[SubnetRecord]
) -> tuple[PortRecord, ...]:
    """Write down what the guests that are there make of new subnets; return whose those are."""
    automatic = [subnet for subnet in made if subnet.is_automatic]
    moved = _ports_on(connection, {subnet.network_id for subnet in automatic})
    for port in moved:
        mine = [subnet for subnet in automatic if subnet.network_id == port.network_id]
        own = own_addresses(mine, port.mac)
        for position, wanted in enumerate(own, start=len(port.fixed_ips)):
            address_take(connection, port.id, wanted, position)
    return moved


def _ports_on(connection: sa.Connection, network_ids: Collection[str]) -> tuple[PortRecord, ...]:
    return port_list(connection, {"network_id": network_ids}) if network_ids else ()


def _planned(present: SubnetRecord, change: SubnetChange) -> dict[str, Any]:
    """Check what depends on the subnet's network; the columns to be written for it."""
    network = parse_cidr(present.cidr)
    enabled = bool(change.values.get("enable_dhcp", present.enable_dhcp))
    check_dhcp(network, enabled=enabled)
    if "enable_dhcp" in change.values:
        check_dhcp_of_modes((present.ipv6_ra_mode, present.ipv6_address_mode), enabled=enabled)
    gateway = parse_ip(present.gateway_ip, "gateway_ip") if present.gateway_ip else None
    pools, values = present.pools, dict[str, Any]()
    if change.gateway_ip is not None:
        gateway = plan_gateway(change.gateway_ip[0], network)
        values["gateway_ip"] = str(gateway) if gateway is not None else None
    if change.pools is not None:
        pools = plan_pools(change.pools, network, gateway)
        values["allocation_pools"] = pools_text(pools)
    check_apart(pools, gateway)
    if change.dns_nameservers is not None:
        values["dns_nameservers"] = list(plan_dns(change.dns_nameservers, present.ip_version))
    if change.host_routes is not None:
        values["host_routes"] = list(plan_routes(change.host_routes, present.ip_version))
    return values


def _visible(connection: sa.Connection, caller: Caller, subnet_id: str) -> SubnetRecord:
    found = subnet_show(connection, subnet_id, project_id=scope(caller))
    if found is None:
        raise missing("Subnet", subnet_id)
    return found

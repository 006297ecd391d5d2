"""DHCP of networks: what a host is to answer, and the address from which every host answers.

A network has one port of owner ``network:dhcp`` for that, as Neutron has; here each host uses its
addresses, for its own guests alone (docs/decisions/0115-dhcp.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.fixed_ip import address_on
from lanekeeper.domain.network.port import PortRecord, PortWanted, VnicType
from lanekeeper.domain.network.segment import Segment
from lanekeeper.domain.network.subnet import SubnetRecord
from lanekeeper.protocol import DhcpGuest, DhcpOption, DhcpSubnet, DhcpWanted
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.network.dhcp import (
    answering_ports,
    bridges_of,
    hosts_answering,
    network_hold,
)
from lanekeeper.store.network.network import SERVES_NETWORK
from lanekeeper.store.network.port import port_create, port_list
from lanekeeper.store.network.subnet import address_take, subnet_list, subnets_on
from lanekeeper.store.row import GONE

_ANSWERED = frozenset({VnicType.NORMAL, VnicType.DIRECT, VnicType.MACVTAP})
"""Kinds of ports that a bridge of the host can reach; the host says which it does."""
_DEVICE_ID = "lanekeeper-dhcp"


def dhcp_wanted(
    connection: sa.Connection, host_id: str, servers: Sequence[ServerRecord]
) -> list[DhcpWanted]:
    """What the host of *servers* is to answer: those of their ports that a bridge may reach."""
    bridges = bridges_of(connection, host_id) if servers else {}
    if not bridges:
        return []
    names = {server.id: server.hostname for server in servers}
    on: dict[Segment, list[PortRecord]] = defaultdict(list)
    for port in port_list(connection, {"device_id": tuple(names)}):
        segment = port.segment
        if port.vnic_type in _ANSWERED and port.is_bound and segment is not None:
            on[segment].append(port)
    reached = {
        segment: ports for segment, ports in on.items() if segment.physical_network in bridges
    }
    networks = {ports[0].network_id for ports in reached.values()}
    subnets = _served(subnet_list(connection, {"network_id": networks})) if networks else {}
    answering = answering_ports(connection, networks) if networks else {}
    return [
        _wanted(segment, ports, subnets[network_id], answering.get(network_id), names)
        for segment, ports in reached.items()
        if (network_id := ports[0].network_id) in subnets
    ]


def unanswered(wanted: Iterable[DhcpWanted]) -> list[str]:
    """Ids of networks that lack an address from which a subnet could be answered."""
    return sorted({one.network_id for one in wanted if not all(s.server for s in one.subnets)})


def give_address(site: Site, network_id: str) -> None:
    """Give a network what it lacks to be answered; a subnet with no free address stays without."""
    now = site.clock()
    with suppress(Conflict):  # a subnet was deleted just now: looked at again by the caller
        site.database.write(lambda connection: _give(connection, network_id, now))


def lock_answering(connection: sa.Connection, network_ids: Iterable[str]) -> tuple[str, ...]:
    """Lock the hosts that may answer on these networks, for ``touch_answering``; their ids."""
    hosts = hosts_answering(connection, network_ids)
    for host_id in hosts:
        host_lock(connection, host_id)
    return hosts


def touch_answering(connection: sa.Connection, hosts: Iterable[str]) -> None:
    """Say that hosts are to answer something else now; their bells are rung after the commit."""
    for host_id in hosts:
        desired_touch(connection, host_id)


def _served(subnets: Iterable[SubnetRecord]) -> Mapping[str, list[SubnetRecord]]:
    found: dict[str, list[SubnetRecord]] = defaultdict(list)
    for subnet in subnets:
        if subnet.has_dhcp:
            found[subnet.network_id].append(subnet)
    return found


def _give(connection: sa.Connection, network_id: str, now: datetime) -> None:
    project_id = network_hold(connection, network_id)
    if project_id is None:
        return
    port = answering_ports(connection, [network_id]).get(network_id)
    if port is None:
        wanted = PortWanted(
            network_id=network_id,
            device_id=_DEVICE_ID,
            device_owner=SERVES_NETWORK,
            description="answers DHCP, on every host with a bridge of this network",
            fixed_ips=(),
            port_security_enabled=False,
        )
        port = port_create(connection, wanted, project_id=project_id, now=now)
    has = {fixed.subnet_id for fixed in port.fixed_ips}
    subnets = subnets_on(connection, network_id)
    for position, subnet in enumerate(subnets):
        if not subnet.has_dhcp or subnet.id in has:
            continue
        try:
            address_take(connection, port.id, address_on(subnet, port.mac), position)
        except Conflict as error:
            if error.code == GONE:
                raise
            continue  # none is free: tried again when the host asks next


def _wanted(
    segment: Segment,
    ports: Sequence[PortRecord],
    subnets: Sequence[SubnetRecord],
    answering: PortRecord | None,
    names: Mapping[str, str],
) -> DhcpWanted:
    first = ports[0]
    servers = {fixed.subnet_id: fixed.ip for fixed in answering.fixed_ips} if answering else {}
    return DhcpWanted(
        id=segment.id,
        network_id=first.network_id,
        physical_network=segment.physical_network or "",
        vlan=segment.vlan,
        mtu=first.mtu,
        subnets=[_subnet(subnet, servers.get(subnet.id, "")) for subnet in subnets],
        guests=[_guest(port, names.get(port.device_id, "")) for port in ports],
    )


def _subnet(subnet: SubnetRecord, server: str) -> DhcpSubnet:
    return DhcpSubnet(
        id=subnet.id,
        cidr=subnet.cidr,
        server=server,
        gateway=subnet.gateway_ip,
        dns=list(subnet.dns_nameservers),
        routes=[(route["destination"], route["nexthop"]) for route in subnet.host_routes],
    )


def _guest(port: PortRecord, host_name: str) -> DhcpGuest:
    return DhcpGuest(
        port_id=port.id,
        mac=port.mac,
        host_name=host_name,
        addresses=[(fixed.subnet_id, fixed.ip) for fixed in port.fixed_ips],
        options=[one for option in port.extra_dhcp_opts for one in _option(option)],
    )


def _option(option: Mapping[str, Any]) -> Iterable[DhcpOption]:
    """What an entry of ``extra_dhcp_opts`` says; one without a value says nothing."""
    name, value = option.get("opt_name"), option.get("opt_value")
    if name is not None and value is not None:
        version = 6 if str(option.get("ip_version", 4)) == "6" else 4
        yield DhcpOption(name=str(name), value=str(value), ip_version=version)

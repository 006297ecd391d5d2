"""``network_data.json``: how a guest learns its links and addresses from the config drive.

Source: nova ``virt/netutils.py``, get_network_metadata, and its JSON schema in Nova's
documentation, "Metadata service". Two things are ours: every subnet of a port is told, not only
the first of each family, and addresses stand there in full even where the subnet says
``enable_dhcp``, since not every guest on a VF has somebody to answer DHCP.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from lanekeeper.domain.network.port import FixedIp, PortRecord, VifType
from lanekeeper.domain.network.subnet import SubnetRecord

_PHYSICAL = "phy"
# The VIF types that Nova has always told guests; every other is "phy".
# Source: nova network/model.py, LEGACY_EXPOSED_VIF_TYPES.
_EXPOSED = frozenset({VifType.HW_VEB})
_ANYWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104 a route's destination, nothing is bound to it
_LINK_ID_CHARACTERS = 14  # nova network/model.py, NIC_NAME_LEN: "tap" and the start of the id


def network_data(
    ports: Iterable[PortRecord], subnets: Mapping[str, SubnetRecord]
) -> dict[str, list[dict[str, Any]]]:
    """Describe *ports* in the order in which the guest has them; *subnets* by id."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for port in ports:
        links.append(_link(port))
        for fixed in port.fixed_ips:
            network = _network(port, fixed, subnets[fixed.subnet_id])
            networks.append({"id": f"network{len(networks)}", **network})
            services += [dns for dns in network["services"] if dns not in services]
    return {"links": links, "networks": networks, "services": services}


def link_id(port_id: str) -> str:
    """The name by which the config drive speaks of a port's link."""
    return f"tap{port_id}"[:_LINK_ID_CHARACTERS]


def _link(port: PortRecord) -> dict[str, Any]:
    return {
        "id": link_id(port.id),
        "vif_id": port.id,
        "type": str(port.vif_type) if port.vif_type in _EXPOSED else _PHYSICAL,
        "mtu": port.mtu,
        "ethernet_mac_address": port.mac,
    }


def _network(port: PortRecord, fixed: FixedIp, subnet: SubnetRecord) -> dict[str, Any]:
    mode = f"_{subnet.ipv6_address_mode}" if subnet.ipv6_address_mode else ""
    return {
        "type": f"ipv{subnet.ip_version}{mode}",
        "link": link_id(port.id),
        "ip_address": fixed.ip,
        "netmask": str(ipaddress.ip_network(subnet.cidr).netmask),
        "routes": _routes(subnet),
        "network_id": port.network_id,
        "services": [{"type": "dns", "address": dns} for dns in subnet.dns_nameservers],
    }


def _routes(subnet: SubnetRecord) -> list[dict[str, str]]:
    routes = []
    if subnet.gateway_ip:
        anywhere = _ANYWHERE[subnet.ip_version]
        routes.append({"network": anywhere, "netmask": anywhere, "gateway": subnet.gateway_ip})
    for route in subnet.host_routes:
        destination = ipaddress.ip_network(route["destination"])
        routes.append(
            {
                "network": str(destination.network_address),
                "netmask": str(destination.netmask),
                "gateway": route["nexthop"],
            }
        )
    return routes

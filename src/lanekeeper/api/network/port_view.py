"""A port in the API's shape, and the filters that look into it."""

from __future__ import annotations

from collections.abc import Mapping

from lanekeeper.api.network.listing import Match, View
from lanekeeper.api.network.moment import moment
from lanekeeper.domain.network.address import parse_mac
from lanekeeper.domain.network.bandwidth import resource_request
from lanekeeper.domain.network.extra_dhcp import new_options
from lanekeeper.domain.network.fixed_ip import FixedIpAsked
from lanekeeper.domain.network.port import PortRecord

HOST, PROFILE, VIF_TYPE, VIF_DETAILS, VNIC_TYPE = (
    "binding:host_id",
    "binding:profile",
    "binding:vif_type",
    "binding:vif_details",
    "binding:vnic_type",
)
ATTRIBUTES = frozenset(
    {HOST, PROFILE, VIF_TYPE, VIF_DETAILS, VNIC_TYPE}
    | {"id", "name", "description", "network_id", "project_id", "tenant_id", "mac_address"}
    | {"admin_state_up", "status", "device_id", "device_owner", "fixed_ips", "tags"}
    | {"allowed_address_pairs", "security_groups", "extra_dhcp_opts", "port_security_enabled"}
    | {"qos_policy_id", "qos_network_policy_id", "propagate_uplink_status", "trusted"}
    | {
        "numa_affinity_policy",
        "data_plane_status",
        "resource_request",
        "ip_allocation",
        "revision_number",
    }
    | {"created_at", "updated_at"}
)


def view(port: PortRecord, *, binding: bool, request: bool) -> View:
    """Show a port; with its place on a host, and what it asks of one, for those who may see it."""
    shown: View = {
        "id": port.id,
        "name": port.name,
        "description": port.description,
        "network_id": port.network_id,
        "project_id": port.project_id,
        "tenant_id": port.project_id,
        "mac_address": port.mac,
        "admin_state_up": port.admin_state_up,
        "status": str(port.status),
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "fixed_ips": [{"subnet_id": one.subnet_id, "ip_address": one.ip} for one in port.fixed_ips],
        "allowed_address_pairs": _pairs(port),
        "security_groups": list(port.security_groups),
        "extra_dhcp_opts": list(new_options(port.extra_dhcp_opts)),
        "port_security_enabled": port.port_security_enabled,
        "qos_policy_id": port.qos_policy_id,
        "qos_network_policy_id": port.qos_network_policy_id,
        "propagate_uplink_status": port.propagate_uplink_status,
        "trusted": port.trusted,
        "numa_affinity_policy": port.numa_affinity_policy,
        "data_plane_status": port.data_plane_status,
        "ip_allocation": "immediate" if port.fixed_ips else "none",
        VNIC_TYPE: str(port.vnic_type),
        "tags": list(port.tags),
        "created_at": moment(port.created_at),
        "updated_at": moment(port.updated_at),
        "revision_number": port.revision,
    }
    if request:
        shown["resource_request"] = resource_request(
            port.id, port.qos_rules, port.vnic_type, port.physical_network
        )
    return shown | (_binding(port) if binding else {})


def _pairs(port: PortRecord) -> list[dict[str, str]]:
    """Pairs with a MAC each: a pair that names none has the port's."""
    return [{"mac_address": port.mac, **pair} for pair in port.allowed_address_pairs]


def _binding(port: PortRecord) -> View:
    trusted = {} if port.trusted is None else {"trusted": port.trusted}
    failure = {"binding_failure": port.binding_failure} if port.binding_failure else {}
    return {
        HOST: port.host_name,
        PROFILE: {**port.profile, **trusted},
        VIF_TYPE: str(port.vif_type),
        VIF_DETAILS: {**port.vif_details, **failure},
    }


def _fixed_ip(shown: View, wanted: str) -> bool:
    asked = FixedIpAsked.parse(wanted)
    return any(asked.matches(one["subnet_id"], one["ip_address"]) for one in shown["fixed_ips"])


def _mac(shown: View, wanted: str) -> bool:
    return bool(shown["mac_address"] == parse_mac(wanted))


FILTERS: Mapping[str, Match] = {"fixed_ips": _fixed_ip, "mac_address": _mac}

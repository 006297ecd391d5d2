"""A port's row: made of what a request says, read into a record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.port import (
    FixedIp,
    PortRecord,
    PortStatus,
    PortWanted,
    VifType,
    VnicType,
)
from lanekeeper.domain.network.promise import Promise
from lanekeeper.domain.network.qos import QosRule
from lanekeeper.domain.network.segment import Segment
from lanekeeper.store.network.network import segments_of
from lanekeeper.store.network.qos import qos_rules_of
from lanekeeper.store.network.security_group import security_group_default
from lanekeeper.store.tables import address

_CHUNK = 500


def port_records(connection: sa.Connection, query: sa.Select[Any]) -> tuple[PortRecord, ...]:
    """Run a query for ports with their network's name and MTU, and complete each."""
    rows = connection.execute(query).mappings().all()
    addresses = _addresses_of(connection, [row["id"] for row in rows])
    segments = segments_of(connection, [row["network_id"] for row in rows])
    rules = qos_rules_of(connection, map(_policy_id, rows))
    return tuple(
        _record(
            row,
            addresses[row["id"]],
            segments[row["network_id"]],
            rules.get(_policy_id(row) or "", ()),
        )
        for row in rows
    )


def port_values(
    connection: sa.Connection,
    wanted: PortWanted,
    on: NetworkRecord,
    project_id: str,
    now: datetime,
) -> dict[str, Any]:
    """The columns of a new port, less its id and MAC; its default group is made if need be."""
    secured = wanted.is_secured(on_network=on.port_security_enabled)
    groups: tuple[str, ...] = wanted.security_groups or ()
    if wanted.security_groups is None and secured:
        groups = (security_group_default(connection, project_id, now),)
    return {
        "network_id": on.id,
        "project_id": project_id,
        "name": wanted.name,
        "description": wanted.description,
        "admin_state_up": wanted.admin_state_up,
        "device_id": wanted.device_id,
        "device_owner": wanted.device_owner,
        "vnic_type": wanted.vnic_type,
        "binding_host": wanted.host_name,
        "binding_profile": dict(wanted.profile),
        "port_security_enabled": secured,
        "propagate_uplink_status": wanted.propagate_uplink_status,
        "trusted": wanted.trusted,
        "numa_affinity_policy": wanted.numa_affinity_policy,
        "qos_policy_id": wanted.qos_policy_id,
        "allowed_address_pairs": [dict(pair) for pair in wanted.allowed_address_pairs],
        "security_groups": list(groups),
        "extra_dhcp_opts": [dict(option) for option in wanted.extra_dhcp_opts],
        "created_by_server": wanted.created_by_server,
        "tags": list(wanted.tags),
        "created_at": now,
        "updated_at": now,
    }


def _addresses_of(
    connection: sa.Connection, port_ids: Iterable[str]
) -> Mapping[str, tuple[FixedIp, ...]]:
    found: dict[str, tuple[FixedIp, ...]] = defaultdict(tuple)
    ids = list(port_ids)
    for at in range(0, len(ids), _CHUNK):
        rows = connection.execute(
            sa.select(address.c.port_id, address.c.subnet_id, address.c.ip)
            .where(address.c.port_id.in_(ids[at : at + _CHUNK]))
            .order_by(address.c.position, address.c.ip)
        )
        for port_id, subnet_id, ip in rows:
            found[port_id] += (FixedIp(subnet_id, ip),)
    return found


def _policy_id(row: sa.RowMapping) -> str | None:
    """The policy that decides: the port's own, else its network's, for guests' ports alone.

    Source: neutron ``objects/ports.py``, ``services/qos/qos_plugin.py``.
    """
    own: str | None = row["qos_policy_id"]
    theirs: str | None = row["qos_network_policy_id"]
    return own if own or row["device_owner"].startswith("network:") else theirs


def _record(
    row: sa.RowMapping,
    fixed_ips: tuple[FixedIp, ...],
    segments: tuple[Segment, ...],
    rules: tuple[QosRule, ...],
) -> PortRecord:
    return PortRecord(
        id=row["id"],
        project_id=row["project_id"],
        network_id=row["network_id"],
        network_name=row["network_name"],
        mtu=row["mtu"],
        segments=segments,
        fixed_ips=fixed_ips,
        name=row["name"],
        description=row["description"],
        mac=row["mac_address"],
        admin_state_up=row["admin_state_up"],
        status=PortStatus(row["status"]),
        vnic_type=VnicType(row["vnic_type"]),
        device_id=row["device_id"],
        device_owner=row["device_owner"],
        host_name=row["binding_host"],
        profile=row["binding_profile"],
        vif_type=VifType(row["vif_type"]),
        vif_details=row["vif_details"],
        binding_failure=row["binding_failure"],
        segment_id=row["segment_id"],
        port_security_enabled=row["port_security_enabled"],
        propagate_uplink_status=row["propagate_uplink_status"],
        trusted=row["trusted"],
        numa_affinity_policy=row["numa_affinity_policy"],
        data_plane_status=row["data_plane_status"],
        qos_policy_id=row["qos_policy_id"],
        qos_network_policy_id=row["qos_network_policy_id"],
        qos_rules=rules,
        bandwidth_provider_id=row["bandwidth_provider_id"],
        held=Promise(row["egress_kbps"], row["ingress_kbps"]),
        allowed_address_pairs=tuple(row["allowed_address_pairs"]),
        security_groups=tuple(row["security_groups"]),
        extra_dhcp_opts=tuple(row["extra_dhcp_opts"]),
        created_by_server=row["created_by_server"],
        tags=tuple(row["tags"]),
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

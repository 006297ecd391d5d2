"""Records that tests of ports begin with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lanekeeper.domain.network.address import Pool
from lanekeeper.domain.network.port import FixedIp, PortRecord, VifType, VnicType
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.domain.network.subnet import SubnetRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VLAN_15 = Segment(
    id="seg1", network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=15
)


def a_subnet(**changed: Any) -> SubnetRecord:
    values: dict[str, Any] = {
        "id": "sub4",
        "network_id": "net1",
        "project_id": "red",
        "ip_version": 4,
        "cidr": "192.0.2.0/24",
        "gateway_ip": "192.0.2.1",
        "pools": (Pool(4, 0xC0000202, 0xC00002FE),),
        "dns_nameservers": ("198.51.100.53",),
        "host_routes": ({"destination": "203.0.113.0/24", "nexthop": "192.0.2.9"},),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return SubnetRecord(**{**values, **changed})


def a_port(**changed: Any) -> PortRecord:
    values: dict[str, Any] = {
        "id": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "project_id": "red",
        "network_id": "net1",
        "network_name": "net15",
        "mac": "fa:16:3e:00:00:01",
        "mtu": 1500,
        "vnic_type": VnicType.DIRECT,
        "vif_type": VifType.HW_VEB,
        "segments": (VLAN_15,),
        "fixed_ips": (FixedIp("sub4", "192.0.2.15"),),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return PortRecord(**{**values, **changed})

"""Ports over HTTP, each with all that it hangs on."""

from __future__ import annotations

from typing import Any

import msgspec

from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.compute.port_chain import PortChain, port_chain

_SETTINGS = (
    "mac",
    "vlan",
    "spoof_check",
    "trusted",
    "link_state",
    "min_tx_mbps",
    "max_tx_mbps",
)
_DEVICE = (
    "id",
    "address",
    "pf_address",
    "vendor_id",
    "product_id",
    "dev_type",
    "state",
    "driver",
    "physical_network",
    "numa_node",
    "health",
)


def show(call: Call[None]) -> dict[str, object]:
    """Follow a port: network, device, host, guest, the settings wanted of its VF, and why."""
    return {"port": _view(port_chain(call.site, call.caller, call.path["port_id"]))}


def _view(chain: PortChain) -> dict[str, object]:
    port, server, holder, device = chain.port, chain.server, chain.holder, chain.device
    segment = port.segment
    return {
        "id": port.id,
        "name": port.name,
        "status": str(port.status),
        "why": chain.why,
        "admin_state_up": port.admin_state_up,
        "mac_address": port.mac,
        "fixed_ips": [fixed.ip for fixed in port.fixed_ips],
        "network": {
            "id": port.network_id,
            "name": port.network_name,
            "type": str(segment.network_type) if segment else None,
            "physical_network": segment.physical_network if segment else None,
            "vlan": segment.vlan if segment else None,
        },
        "binding": {
            "host": port.host_name,
            "vnic_type": str(port.vnic_type),
            "vif_type": str(port.vif_type),
            "failure": port.binding_failure,
            "may_go_to": [binding.host_name for binding in chain.bindings],
        },
        "server": None
        if server is None or holder is None
        else {
            "id": server.id,
            "name": server.name,
            "host": holder.host_name,
            "host_alive": holder.host_alive,
            "vm_state": str(server.vm_state),
            "power": holder.power,
            "problem": holder.problem,
        },
        "device": None if device is None else {name: getattr(device, name) for name in _DEVICE},
        "wanted": None
        if chain.wanted is None
        else {name: msgspec.to_builtins(getattr(chain.wanted, name)) for name in _SETTINGS}
        | {"pf_netdev": chain.wanted.pf_netdev, "vf_index": chain.wanted.vf_index},
    }


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/ports/{port_id}",
        handler=show,
        policy=Policy("lanekeeper:ports:show", ADMIN),
    ),
)

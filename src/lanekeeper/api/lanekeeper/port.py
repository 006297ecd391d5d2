"""Ports over HTTP, each with all that it hangs on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lanekeeper.api.row import ADMIN, Call, Policy, Row
from lanekeeper.control.compute.port_chain import PortChain, port_chain
from lanekeeper.domain.network.port_vf import PortVf
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.protocol import VfReading

_SETTINGS = (
    "mac",
    "vlan",
    "spoof_check",
    "trusted",
    "link_state",
    "min_tx_mbps",
    "max_tx_mbps",
)
_CALLED = {
    "spoofchk": ("spoof_check",),
    "trust": ("trusted",),
    "rates": ("min_tx_mbps", "max_tx_mbps"),
}
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
    """Follow a port: network, device, host, guest, its VF's settings wanted and found, and why."""
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
        "held_by": chain.held_by,
        "guarded_by": port.guarded_by,
        "standby": {"bridge": port.bridge, "guarded_by": port.guarded_by}
        if port.is_pair and chain.wanted is not None
        else None,
        "found": _found(chain.vf),
        "unread": chain.unread,
        "differences": _differences(chain),
        "mended": _mended(chain.vf),
    }


def _found(vf: PortVf | None) -> dict[str, object] | None:
    if vf is None or vf.found is None:
        return None
    return _reading(vf.found) | {
        "unknown": _names(vf.unknown),
        "since": vf.since.isoformat(),
    }


def _differences(chain: PortChain) -> list[str]:
    """Which settings differ; two rates are one setting, and each is told for itself."""
    if chain.wanted is None or chain.vf is None or chain.vf.found is None:
        return []
    found = VfReading.of(chain.vf.found)
    rates = _CALLED["rates"]
    return [
        name
        for name in _names(chain.differences)
        if name not in rates or getattr(chain.wanted, name) != getattr(found, name)
    ]


def _mended(vf: PortVf | None) -> dict[str, object] | None:
    if vf is None or vf.mended is None:
        return None
    return {
        "at": vf.mended.at.isoformat(),
        "settings": _names(vf.mended.lost),
        "was": _reading(vf.mended.was),
    }


def _reading(settings: VfSettings) -> dict[str, object]:
    """All of it, under the names that stand in ``wanted``."""
    return msgspec.structs.asdict(VfReading.of(settings))


def _names(settings: Iterable[str]) -> list[str]:
    """What *settings* are called in ``wanted``."""
    return [name for one in settings for name in _CALLED.get(one, (one,))]


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/ports/{port_id}",
        handler=show,
        policy=Policy("lanekeeper:ports:show", ADMIN),
    ),
)

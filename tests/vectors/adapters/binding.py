"""Ports on hosts: what Neutron binds and how, and what Nova writes into the profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.network import profile as profiles
from lanekeeper.domain.network.binding import (
    DRIVER,
    SUPPORTED,
    SWITCH_DRIVER,
    Binding,
    HostNetwork,
    PortFacts,
    bind,
)
from lanekeeper.domain.network.port import FixedIp, PortStatus, VifType, VnicType
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.domain.pci.device_spec import DeviceSpec
from vectors.case import Answer, Data


def binding(data: Data) -> Iterator[Answer]:
    yield Answer(said(data["input"]), data["expect"])


def binding_profile(data: Data) -> Iterator[Answer]:
    yield Answer({"result": "ok", "profile": profile(data)}, data["expect"])


def said(given: dict[str, Any]) -> dict[str, Any]:
    port = PortFacts(
        vnic_type=VnicType(given["vnic_type"]),
        profile=given["profile"],
        fixed_ips=tuple(FixedIp(one["subnet_id"], "") for one in given.get("fixed_ips", ())),
        subnet_segments=given.get("subnet_segment_ids", {}),
    )
    prohibited = set(given.get("sriov_vnic_type_prohibit_list", ()))
    drivers = given["mechanism_drivers"]
    carried = SUPPORTED - prohibited if DRIVER in drivers else frozenset()
    if SWITCH_DRIVER in drivers:
        carried |= {VnicType.NORMAL}
    bound = bind(port, [segment(one) for one in given["segments"]], host(given), carried)
    if not isinstance(bound, Binding):
        return {"bound": False, "vif_type": VifType.FAILED}
    details = dict(bound.vif_details)
    told = {
        "bound": True,
        "driver": details.pop("bound_drivers")["0"],
        "segment_id": bound.segment.id,
        "vif_type": bound.vif_type,
    }
    if bound.vif_type is VifType.OVS:  # whose details the cases leave open
        return told | {"port_status": "unchanged"}
    # Binding changes no status; a port is DOWN until it is held.
    return told | {"port_status": PortStatus.DOWN, "vif_details": details}


def host(given: dict[str, Any]) -> HostNetwork:
    """One host of ours has one agent: what Neutron's living ones know together."""
    alive = [one["configurations"] for one in given["host_agents"] if one["alive"]]
    return HostNetwork(
        name="h",
        alive=bool(alive),
        mappings={k: v for one in alive for k, v in one.get("device_mappings", {}).items()},
        bridges={k: v for one in alive for k, v in one.get("bridge_mappings", {}).items()},
    )


def segment(given: dict[str, Any]) -> Segment:
    return Segment(
        id=given["id"],
        network_type=NetworkType(given["network_type"]),
        physical_network=given["physical_network"],
        segmentation_id=given["segmentation_id"],
    )


def profile(given: Data) -> dict[str, Any]:
    device = given["device"]
    known = device.get("capabilities", {})
    tags = DeviceSpec.parse(given["device_spec"][0]).tags
    return profiles.binding_profile(
        address=device["address"],
        vendor_id=device["vendor_id"],
        product_id=device["product_id"],
        dev_type=device["dev_type"],
        physical_network=tags.get("physical_network") or None,
        serial=known.get("vpd", {}).get("card_serial_number"),
        vf_index=known.get("sriov", {}).get("vf_num"),
        pf_mac=known.get("sriov", {}).get("pf_mac_address"),
        mac=device.get("mac_address"),
        capabilities=known.get("network", ()),
    )

"""Neutron's SR-IOV agent: which VFs it looks after, what it tells them, whose bandwidth it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lanekeeper.agent.observe import view
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.vf_settings import agents_share
from lanekeeper.domain.network.bandwidth import bandwidth_providers, vnic_type_trait
from lanekeeper.domain.network.binding import Binding, HostNetwork, PortFacts, bind
from lanekeeper.domain.network.mapping import Bandwidth, InventoryDefaults
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.network.segment import NetworkType, Segment
from lanekeeper.domain.network.vendor_list import parse_vendor_list
from lanekeeper.domain.network.vf_wanted import link_state
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.resource_class import physical_network_trait
from lanekeeper.host.scan import Scan
from lanekeeper.protocol import LINK_STATES, DeviceWanted, NicWanted
from vectors.adapters.network_options import said
from vectors.case import Answer, Data

_PF = PciAddress.parse("0000:05:00.0")


def placement(data: Data) -> Iterator[Answer]:
    given, expect = data["input"], data["expect"]
    if "kind" in given:
        name = vnic_type_trait if given["kind"] == "vnic" else physical_network_trait
        yield Answer({"trait": name(given["name"])}, expect)
        return
    found = list(
        bandwidth_providers(
            given["hypervisor_rp_uuids"],
            given["hypervisors"],
            given["device_mappings"],
            {
                name: Bandwidth(one["egress"], one["ingress"])
                for name, one in given["resource_provider_bandwidths"].items()
            },
            InventoryDefaults(**given["inventory_defaults"]),
        )
    )
    told = {
        "resource_providers": {
            one.name: {"uuid": one.id, "parent_uuid": one.parent_id} for one in found
        },
        "rp_traits": {one.id: sorted(one.traits) for one in found},
        "inventories": {
            one.id: _inventories(one.inventories, given["inventory_defaults"])
            for one in found
            if one.inventories
        },
    }
    wanted = {**expect, "rp_traits": {k: sorted(v) for k, v in expect["rp_traits"].items()}}
    yield Answer(told, {key: wanted[key] for key in told})
    traits = sorted({trait for one in found for trait in one.traits})
    yield Answer(traits, sorted(expect["traits_created"]), "traits_created")


def _inventories(inventories: Any, defaults: Data) -> dict[str, dict[str, Any]]:
    """Neutron leaves ``max_unit`` out where nobody set one; Placement's is then no bound."""
    shown = {name: asdict(one) for name, one in inventories.items()}
    left_out = {"used"} | ({"max_unit"} - defaults.keys())
    return {
        name: {key: value for key, value in one.items() if key not in left_out}
        for name, one in shown.items()
    }


def vf_scan(data: Data) -> Iterator[Answer]:
    given = data["input"]
    devices = []
    if given.get("exists", True):
        devices = [
            PciDevice(
                address=_PF,
                vendor_id=0x8086,
                product_id=0x10C9,
                dev_type=DeviceType.PF,
                netdev="p1p1",
                total_vfs=64,
            ),
            *(_vf(int(index), vf) for index, vf in given["vfs"].items()),
        ]
    policy = Policy(
        specs=[DeviceSpec.parse({"physical_network": "physnet1", "address": "0000:05:*.*"})],
        excluded=frozenset(map(PciAddress.parse, given["exclude"])),
    )
    looked = view(Scan(devices=tuple(devices)), policy, frozenset())
    managed = {
        str(address): one.device.vf_index
        for address, one in looked.listed.items()
        if one.device.dev_type is DeviceType.VF
    }
    yield Answer(managed, data["expect"]["managed_vfs"], "managed_vfs")


def _vf(index: int, vf: Data) -> PciDevice:
    return PciDevice(
        address=PciAddress.parse(vf["pci"]),
        vendor_id=0x8086,
        product_id=0x10CA,
        dev_type=DeviceType.VF,
        parent=_PF,
        vf_index=index,
        netdev=vf.get("net"),
    )


def agent_loop(data: Data) -> Iterator[Answer]:
    """What VFs are told and ports become; what is new and what is gone is Neutron's own question.

    A port is on the VF that was claimed for it, whatever MAC that has.
    """
    given, expect = data["input"], data["expect"]
    news = [*expect["added"], *expect["updated"]]
    operations: list[dict[str, Any]] = []
    up: list[list[str]] = []
    down: list[list[str]] = []
    for index, vf in enumerate(given["vfs"]):
        pair = [vf["mac"], vf["pci"]]
        details = given["server_details"].values()
        port = next((one for one in details if one["profile"].get("pci_slot") == vf["pci"]), None)
        if pair not in news or port is None or "port_id" not in port:
            continue
        change = agents_share(_nic(port, vf["pci"]))
        assert change.link_state is not None
        operations += [
            {"op": "spoofchk", "vf": index, "value": change.spoofchk},
            {"op": "state", "vf": index, "value": LINK_STATES[change.link_state]},
        ]
        (up if port["admin_state_up"] else down).append(pair)
    yield Answer(operations, expect["vf_ops"], "vf_ops")
    yield Answer(up, expect["reported_up"], "reported_up")
    yield Answer(down, expect["reported_down"], "reported_down")


def _nic(port: Data, address: str) -> NicWanted:
    state = link_state(
        admin_state_up=port["admin_state_up"],
        propagate_uplink_status=port["propagate_uplink_status"],
    )
    device = DeviceWanted(device_id="", address=address, vendor_id="8086", product_id="10ca")
    return NicWanted(
        port_id=port["port_id"],
        mac=port["mac_address"],
        device=device,
        spoof_check=port["port_security_enabled"],
        link_state=LINK_STATES[state],
    )


def legacy_pci_vendor_list(data: Data) -> Iterator[Answer]:
    """The list is read for its form alone; whether a port is bound does not hang on it."""
    given = data["input"]
    if "profile" not in given:
        read = said(parse_vendor_list, ",".join(given["supported_pci_vendor_devs"]) or ",")
        yield Answer({"ok": read["ok"]}, data["expect"])
        return
    segment = Segment(id="s", network_type=NetworkType.VLAN, physical_network="p")
    facts = PortFacts(vnic_type=VnicType.DIRECT, profile=given["profile"])
    bound = bind(facts, [segment], HostNetwork(name="h", mappings={"p": ("p1p1",)}))
    yield Answer({"accepted": isinstance(bound, Binding)}, data["expect"])

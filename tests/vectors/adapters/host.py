"""A host, its devices and what is asked of it, from the records of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.domain.pci.listing import Listed, list_devices
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, Offered, RequestSource
from lanekeeper.domain.pci.resource_class import normalize_resource_class, parse_traits
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice
from lanekeeper.domain.topology.affinity import Locality
from vectors.adapters.device_spec import device_type
from vectors.case import Data


def pci_devices(data: Data) -> list[PciDevice]:
    """What the host shows: the case's devices."""
    netdevs = {
        one["address"]: name for name, one in data.get("host", {}).get("netdevs", {}).items()
    }
    return [
        PciDevice(
            address=PciAddress.parse(one["address"]),
            vendor_id=int(one["vendor_id"], 16),
            product_id=int(one["product_id"], 16),
            dev_type=device_type(one),
            parent=PciAddress.parse(one["parent_addr"]) if one.get("parent_addr") else None,
            numa_node=one.get("numa_node"),
            netdev=netdevs.get(one["address"]),
            serial=one.get("capabilities", {}).get("vpd", {}).get("card_serial_number"),
        )
        for one in data["devices"]
    ]


def listed_devices(data: Data) -> tuple[Listed, ...]:
    specs = [DeviceSpec.parse(entry) for entry in data["device_spec"]]
    return list_devices(specs, pci_devices(data)).listed


def host_devices(data: Data) -> list[HostDevice]:
    """Each listed device under its address; the pools' providers are the cards'."""
    providers = data.get("provider_of_pool", {})
    listed = listed_devices(data)
    there = {str(one.device.address) for one in listed}
    return [
        HostDevice(
            id=str(one.device.address),
            address=str(one.device.address),
            offered=Offered.of(one.device, one.tags),
            pf_id=str(one.device.parent) if one.device.parent else None,
            whole_offered=str(one.device.parent) in there,
            numa_node=one.device.numa_node,
            provider_id=providers.get(str(one.device.parent or one.device.address)),
        )
        for one in listed
    ]


def needs(requests: Sequence[Mapping[str, Any]]) -> list[DeviceNeed]:
    return [_need(str(index), one) for index, one in enumerate(requests)]


def locality(data: Data) -> Locality:
    nodes = data.get("instance_numa_cells")
    sockets = {one["id"]: one["socket"] for one in data.get("host_numa") or ()}
    return Locality(None if nodes is None else frozenset(nodes), sockets)


def _need(name: str, one: Mapping[str, Any]) -> DeviceNeed:
    is_port = one.get("source") == "port"
    request = DeviceRequest(
        alias_name=None if is_port else name,
        count=one["count"],
        alternatives=tuple(_alternative(spec, is_port=is_port) for spec in one["spec"]),
        numa_policy=NumaPolicy(one.get("numa_policy") or "legacy"),
        source=RequestSource.PORT if is_port else RequestSource.FLAVOR,
    )
    # What ports get is no matter of Placement in Nova.
    providers = () if is_port else tuple(one.get("rp_uuids", ()))
    return DeviceNeed(id=name, name=f"request {name}", request=request, providers=providers)


def _alternative(spec: Mapping[str, Any], *, is_port: bool) -> Alternative:
    named, migratable, trusted = (
        spec.get(key) for key in ("resource_class", "live_migratable", "trusted")
    )
    return Alternative(
        vendor_id=int(spec["vendor_id"], 16) if "vendor_id" in spec else None,
        product_id=int(spec["product_id"], 16) if "product_id" in spec else None,
        dev_type=DeviceType(spec["dev_type"]) if "dev_type" in spec else None,
        resource_class=normalize_resource_class(named) if named else None,
        traits=parse_traits(spec.get("traits")),
        live_migratable=None if migratable is None else parse_flag(migratable, "live_migratable"),
        physical_network=_network(spec) if is_port else None,
        trusted=None if trusted is None else parse_flag(trusted, "trusted"),
        remote_managed=parse_flag(spec.get("remote_managed", False), "remote_managed"),
    )


def _network(spec: Mapping[str, Any]) -> str | None:
    return (spec["physical_network"] or "") if "physical_network" in spec else None

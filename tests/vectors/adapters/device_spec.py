"""One device_spec entry against one device; whole option values against several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.device_spec import DeviceSpec, match, parse_option
from lanekeeper.domain.pci.listing import list_devices
from vectors.case import Answer, Data

ANYTHING = "0000"


def device_spec(data: Data) -> Iterator[Answer]:
    yield Answer(outcome(data), data["expect"])
    if wanted := data.get("normalized"):
        yield normal_form(data, wanted)


def device_spec_config(data: Data) -> Iterator[Answer]:
    expect = {key: value for key, value in data["expect"].items() if key != "error"}
    yield Answer(config_outcome(data), expect)


def normal_form(data: Data, wanted: dict[str, Any]) -> Answer:
    try:
        spec = DeviceSpec.parse(data["spec"])
    except Invalid:
        return Answer("refused", wanted, "normalized")
    # An explicit null says "without a physical network", for which an empty text stands here.
    tags = {key: "" if value is None else value for key, value in wanted["tags"].items()}
    said = {
        "vendor_id": four_digits(spec.vendor_id),
        "product_id": four_digits(spec.product_id),
        "tags": dict(spec.tags),
    }
    return Answer(said, {**wanted, "tags": tags}, "normalized")


def outcome(data: Data) -> str:
    devices = host_devices(data["host"], [data["device"]])
    device = devices[data["device"]["address"]]
    try:
        spec = DeviceSpec.parse(data["spec"])
    except Invalid:
        return "error"
    # A PF beside its VFs is a matter of the whole configuration, not of one entry.
    problems = list_devices([spec], devices.values()).problems
    if any("remote_managed" in problem for problem in problems):
        return "error"
    return "match" if spec.selects(device, parent_of(device, devices)) else "no_match"


def config_outcome(data: Data) -> dict[str, Any]:
    devices = host_devices(data["host"], data["devices"])
    try:
        specs = [spec for value in data["option_values"] for spec in parse_option(value)]
    except Invalid:
        return {"result": "error"}
    entries = {}
    for one in data["devices"]:
        device = devices[one["address"]]
        found = match(specs, device, parent_of(device, devices))
        entries[one["address"]] = found[0] if found else None
    return {"result": "ok", "entries": len(specs), "first_matching_entry": entries}


def host_devices(host: dict[str, Any], told: list[dict[str, Any]]) -> dict[str, PciDevice]:
    """Make what a host with these devices would show, by address."""
    netdevs = {value["address"]: name for name, value in host.get("netdevs", {}).items()}
    devices = {}
    for address in host["physical_functions"]:
        ids = host.get("pf_ids", {}).get(address, {})
        devices[address] = PciDevice(
            address=PciAddress.parse(address),
            vendor_id=int(ids.get("vendor_id", ANYTHING), 16),
            product_id=int(ids.get("product_id", ANYTHING), 16),
            dev_type=DeviceType.PF,
            total_vfs=8,
            netdev=netdevs.get(address),
        )
    for one in told:
        vpd = one.get("capabilities", {}).get("vpd", {})
        devices[one["address"]] = PciDevice(
            address=PciAddress.parse(one["address"]),
            vendor_id=int(one["vendor_id"], 16),
            product_id=int(one["product_id"], 16),
            dev_type=device_type(one),
            parent=PciAddress.parse(one["parent_addr"]) if one.get("parent_addr") else None,
            netdev=netdevs.get(one["address"]),
            serial=vpd.get("card_serial_number"),
        )
    return devices


def device_type(one: Data) -> DeviceType:
    # A VF whose PF is unknown is a plain device.
    told = DeviceType(one["dev_type"])
    if one.get("parent_addr"):
        return told if told is DeviceType.VDPA else DeviceType.VF
    return told if told is DeviceType.PF else DeviceType.PCI


def parent_of(device: PciDevice, devices: dict[str, PciDevice]) -> PciDevice | None:
    return devices.get(str(device.parent)) if device.parent else None


def four_digits(number: int | None) -> str:
    return "*" if number is None else f"{number:04x}"

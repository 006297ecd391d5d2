"""Neutron's options that tell which interfaces and VLANs there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.mapping import (
    parse_bandwidths,
    parse_device_mappings,
    parse_excluded_devices,
    parse_hypervisors,
    parse_inventory_defaults,
)
from lanekeeper.domain.network.vlan import parse_vlan_ranges
from vectors.case import Answer, Data

REFUSED = {"ok": False}


def physical_device_mappings(data: Data) -> Iterator[Answer]:
    yield Answer(said(mappings, data["input"]), data["expect"])


def exclude_devices(data: Data) -> Iterator[Answer]:
    yield Answer(said(excluded, data["input"]), data["expect"])


def network_vlan_ranges(data: Data) -> Iterator[Answer]:
    yield Answer(said(vlan_ranges, data["input"]), data["expect"])


def agent_config(data: Data) -> Iterator[Answer]:
    yield Answer(said(agent, data["input"]), data["expect"])


def said(read: Callable[[Any], Any], given: Any) -> dict[str, Any]:
    try:
        return {"ok": True, "value": read(given)}
    except Invalid:
        return REFUSED


def mappings(text: str) -> dict[str, list[str]]:
    return {name: list(devices) for name, devices in parse_device_mappings(text).items()}


def excluded(text: str, known: Any = None) -> dict[str, list[str]]:
    read = parse_excluded_devices(text, known)
    return {name: sorted(map(str, addresses)) for name, addresses in read.items()}


def vlan_ranges(text: str) -> dict[str, list[list[int]]]:
    read = parse_vlan_ranges(text)
    return {name: [[one.first, one.last] for one in ranges] for name, ranges in read.items()}


def agent(given: dict[str, str]) -> dict[str, Any]:
    known = parse_device_mappings(given["physical_device_mappings"])
    bandwidths = parse_bandwidths(given["resource_provider_bandwidths"], known)
    defaults = parse_inventory_defaults(given.get("resource_provider_inventory_defaults", ""))
    told = {name: getattr(defaults, name) for name in defaults.__slots__}
    if defaults.max_unit is None:
        del told["max_unit"]
    return {
        "device_mappings": {name: list(devices) for name, devices in known.items()},
        "exclude_devices": excluded(given["exclude_devices"], known),
        "resource_provider_bandwidths": {
            name: {"egress": one.egress_kbps, "ingress": one.ingress_kbps}
            for name, one in bandwidths.items()
        },
        "resource_provider_hypervisors": parse_hypervisors(
            given.get("resource_provider_hypervisors", ""), known, given["hostname"]
        ),
        "resource_provider_inventory_defaults": told,
    }

"""A port to the device that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.segment import NetworkType, Segment, physical_segment
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.request import DeviceRequest, port_request
from vectors.case import Answer, Data


def ports(data: Data) -> Iterator[Answer]:
    expect = data["expect"]
    if expect["result"] != "ok":
        yield Answer(said(data), "refused")
        return
    yield Answer(said(data), expect["pci_request"])


def said(data: Data) -> Any:
    port = data["port"] or {"binding:vnic_type": "normal"}
    policy = port.get("numa_affinity_policy") or data["flavor_or_image_numa_policy"]
    try:
        request = port_request(
            port["binding:vnic_type"],
            _physical_network(data["network"]),
            trusted=port.get("binding:profile", {}).get("trusted"),
            numa_policy=NumaPolicy(policy) if policy else None,
        )
    except Invalid:
        return "refused"
    return as_told(request, policy) if request else None


def _physical_network(network: Data) -> str | None:
    """Of a network's segments, or its own where it has no list of them.

    Raises:
        Invalid: it has segments, none of which devices can reach.
    """
    names = [
        one.get("provider:physical_network", one.get("physical_network"))
        for one in network.get("segments") or ()
    ]
    if not names:
        names = [network.get("physical_network")]
        if names == [None]:
            return None
    found = physical_segment(
        Segment(id="", network_type=NetworkType.VLAN, physical_network=name) for name in names
    )
    if found is None:
        raise Invalid("no device reaches a network that is tunnelled only")
    return found.physical_network


def as_told(request: DeviceRequest, policy: str | None) -> dict[str, Any]:
    """Spell it as Nova does, which leaves the policy that counts when none is named open."""
    (wanted,) = request.alternatives
    spec: dict[str, Any] = {
        "physical_network": wanted.physical_network or None,
        "remote_managed": str(wanted.remote_managed),
    }
    if wanted.dev_type:
        spec["dev_type"] = str(wanted.dev_type)
    if wanted.trusted is not None:
        spec["trusted"] = str(wanted.trusted)
    return {
        "count": request.count,
        "spec": [spec],
        "numa_policy": str(request.numa_policy) if policy else None,
        "alias_name": request.alias_name,
        "requester_is_port": True,
    }

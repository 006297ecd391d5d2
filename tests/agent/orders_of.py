"""Short ways to say what a controller wants of the lab's host."""

from __future__ import annotations

import uuid

from lanekeeper.agent.policy import Policy
from lanekeeper.domain.pci.device_spec import parse_option
from lanekeeper.protocol import (
    CleaningWanted,
    DeviceWanted,
    NicWanted,
    ServerWanted,
)

SPECS = """[
 {"vendor_id": "8086", "product_id": "10ca", "address": "0000:21:*",
  "physical_network": "physnet1"},
 {"vendor_id": "8086", "product_id": "10ca", "address": "0000:41:*"}]"""
POLICY = Policy(specs=parse_option(SPECS))
PF = "0000:21:00.0"


def server_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def vf(index: int, *, bus: str = "21") -> DeviceWanted:
    """VF *index* of the 82576 on *bus*."""
    at = 0x80 + 2 * index
    return DeviceWanted(
        device_id=f"device-{bus}-{index}",
        address=f"0000:{bus}:{at >> 3:02x}.{at & 7}",
        vendor_id="8086",
        product_id="10ca",
    )


def nic(
    index: int, *, vlan: int = 15, trusted: bool = False, spoof_check: bool = True
) -> NicWanted:
    return NicWanted(
        port_id=f"port-{index}",
        mac=f"fa:16:3e:00:00:{index:02x}",
        device=vf(index),
        pf_netdev="ens1",
        vf_index=index,
        vlan=vlan,
        trusted=trusted,
        spoof_check=spoof_check,
    )


def server(number: int, generation: int = 1, **values: object) -> ServerWanted:
    fields: dict[str, object] = {
        "id": server_id(number),
        "name": f"server {number}",
        "generation": generation,
        "power": "running",
        "vcpus": 1,
        "memory_mib": 128,
        "disk_gib": 0,
    }
    return ServerWanted(**(fields | values))  # type: ignore[arg-type]  # named as the fields are


def cleaning(device: DeviceWanted, round_: int = 1) -> CleaningWanted:
    return CleaningWanted(device=device, round=round_)

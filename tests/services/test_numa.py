"""A guest near its device, from the flavor to the domain, on a running simulated host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from running import Instance, running, until

pytestmark = pytest.mark.service

CONFIG = """[compute]
cpu_dedicated_set = 8-15,40-47
cpu_shared_set = 0-7,32-39
[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca"}
alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
"""
SPECS = {
    "hw:numa_nodes": "1",
    "hw:cpu_policy": "dedicated",
    "hw:pci_numa_affinity_policy": "required",
    "pci_passthrough:alias": "a1:1",
}


def test_a_pinned_guest_runs_beside_its_device_and_gives_all_back(
    database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(CONFIG)
    with running(tmp_path / "state", config_files=[path], database_url=database_url) as instance:
        flavor = instance.sdk.compute.create_flavor(name="near", ram=1024, vcpus=4, disk=1)
        instance.sdk.compute.create_flavor_extra_specs(flavor, SPECS)
        image = instance.sdk.image.create_image(
            name="tiny", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )
        made = [create(instance, flavor.id, image.id) for _ in range(4)]
        for server in made:
            instance.sdk.compute.wait_for_server(server, interval=0.2, wait=30)
        guests = [wanted for wanted in guests_of(instance) if wanted["cells"]]
        assert len(guests) == 4
        cpus = [cpu for one in guests for cell in one["cells"] for _, cpu in cell["pins"]]
        assert sorted(cpus) == [*range(8, 16), *range(40, 48)]
        for one in guests:
            (cell,), (device,) = one["cells"], one["devices"]
            assert len({cpu // 32 for _, cpu in cell["pins"]} | {cell["node"]}) == 1
            assert node_of(device["address"]) == cell["node"]

        fifth = create(instance, flavor.id, image.id)
        fault = until(lambda: fault_of(instance, fifth.id), "the fifth has no CPUs")
        assert "0 of 16 CPUs for pinning free, 4 needed" in fault
        instance.sdk.compute.delete_server(made[0])
        instance.sdk.compute.wait_for_delete(made[0], interval=0.2, wait=30)
        again = create(instance, flavor.id, image.id)
        instance.sdk.compute.wait_for_server(again, interval=0.2, wait=30)


def create(instance: Instance, flavor_id: str, image_id: str) -> Any:
    return instance.sdk.compute.create_server(
        name="near", image_id=image_id, flavor_id=flavor_id, networks="none"
    )


def fault_of(instance: Instance, server_id: str) -> str:
    server = instance.sdk.compute.get_server(server_id)
    return str((server.fault or {}).get("message", ""))


def guests_of(instance: Instance) -> list[dict[str, Any]]:
    """What the simulated hypervisor has on its disk: the orders that its guests were made of."""
    (records,) = instance.state_dir.rglob("guests.json")
    return [one["wanted"] for one in msgspec.json.decode(records.read_bytes()).values()]


def node_of(address: str) -> int:
    """The simulated host's cards: bus 21 is on node 0, bus 41 on node 1."""
    return {"0000:21": 0, "0000:41": 1}[address.rpartition(":")[0]]

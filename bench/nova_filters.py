"""Nova's own filters and matching on a fleet in memory, for ``bench.filters``.

It runs in Nova's environment, by itself.

Takes a question as JSON on stdin, prints processor times and what was found as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from types import SimpleNamespace

warnings.simplefilter("ignore")

from nova import objects  # noqa: E402  # eventlet warns when it is imported
from nova.pci import stats  # noqa: E402
from nova.scheduler.filters import numa_topology_filter, pci_passthrough_filter  # noqa: E402
from nova.virt import hardware  # noqa: E402

CARDS, VFS, CPUS = 2, 7, 8
_UUID = "11111111-1111-1111-1111-111111111111"


class _Everything:
    """Lists every device, without tags."""

    def get_devspec(self, device: object) -> object:
        return self

    def get_tags(self) -> dict:
        return {}


def host(number: int, held: list) -> SimpleNamespace:
    """Two NUMA nodes with a card of seven VFs each, of which so many are guests', as a scheduler
    knows it: pools without their devices.
    """
    cells = objects.NUMATopology(cells=[_cell(node) for node in range(CARDS)])
    told = pools(cells, held).to_device_pools_obj()
    return SimpleNamespace(
        host=f"h{number}",
        nodename=f"h{number}",
        pci_stats=stats.PciDeviceStats(cells, told, dev_filter=_Everything()),
        numa_topology=cells,
        ram_allocation_ratio=1.0,
        cpu_allocation_ratio=1.0,
        limits={},
        allocation_candidates=[{"mappings": {}}],
    )


def pools(cells: objects.NUMATopology, held: list) -> stats.PciDeviceStats:
    """As the host itself knows them, with devices."""
    made = stats.PciDeviceStats(cells, dev_filter=_Everything())
    for card, taken in enumerate(held):
        for vf in range(taken, VFS):
            made.add_device(_vf(card, vf))
    return made


def _cell(node: int) -> objects.NUMACell:
    cpus = set(range(node * CPUS, (node + 1) * CPUS))
    return objects.NUMACell(
        id=node,
        cpuset=set(),
        pcpuset=cpus,
        memory=65536,
        cpu_usage=0,
        memory_usage=0,
        pinned_cpus=set(),
        siblings=[{cpu} for cpu in cpus],
        mempages=[objects.NUMAPagesTopology(size_kb=4, total=65536 * 256, used=0)],
        socket=node,
        network_metadata=objects.NetworkMetadata(physnets=set(), tunneled=False),
    )


def _vf(card: int, number: int) -> objects.PciDevice:
    device = objects.PciDevice.create(
        None,
        {
            "compute_node_id": 1,
            "address": f"0000:{card + 1:02x}:10.{number}",
            "vendor_id": "8086",
            "product_id": "10ca",
            "numa_node": card,
            "dev_type": "type-VF",
            "parent_addr": f"0000:{card + 1:02x}:00.0",
            "status": "available",
        },
    )
    device.extra_info = {}
    return device


def spec(count: int, policy: str, *, pinned: bool) -> SimpleNamespace:
    request = objects.InstancePCIRequest(
        request_id=_UUID,
        count=count,
        alias_name="a1",
        spec=[{"vendor_id": "8086", "product_id": "10ca", "dev_type": "type-VF"}],
        numa_policy=policy,
    )
    topology = None
    if pinned:
        cell = objects.InstanceNUMACell(
            id=0, cpuset=set(), pcpuset={0, 1, 2, 3}, memory=4096, cpu_policy="dedicated"
        )
        topology = objects.InstanceNUMATopology(cells=[cell])
    extra = {"hw:cpu_policy": "dedicated"} if pinned else {}
    return objects.RequestSpec(
        instance_uuid=_UUID,
        flavor=objects.Flavor(extra_specs=extra),
        image=objects.ImageMeta(properties=objects.ImageMetaProps()),
        numa_topology=topology,
        pci_requests=objects.InstancePCIRequests(requests=[request]),
    )


def passes(hosts: list, wanted: objects.RequestSpec) -> int:
    """How many hosts pass both filters, each asked only where the one before said yes."""
    left = hosts
    for each in (
        pci_passthrough_filter.PciPassthroughFilter(),
        numa_topology_filter.NUMATopologyFilter(),
    ):
        left = [one for one in left if each.host_passes(one, wanted)]
    return len(left)


def main() -> None:
    asked = json.load(sys.stdin)
    objects.register_all()
    hosts = [host(number, held) for number, held in enumerate(asked["held"])]
    told = []
    for question in asked["questions"]:
        wanted = spec(question["count"], question["policy"], pinned=question["pinned"])
        samples, found = [], 0
        for _ in range(asked["runs"]):
            for one in hosts:  # the filters leave only those mappings that pass
                one.allocation_candidates = [{"mappings": {}}]
            began = time.process_time()
            found = passes(hosts, wanted)
            samples.append(1000 * (time.process_time() - began))
        told.append({"found": found, "ms": samples})
    json.dump({"questions": told, "fit_us": _fit(asked["repeat"])}, sys.stdout)


def _fit(repeat: int) -> dict[str, float]:
    """One free host, microseconds: whether devices fit, taking them, seating a guest with them."""
    one, plain = host(0, [0] * CARDS), spec(2, "legacy", pinned=False)
    own = pools(one.numa_topology, [0] * CARDS)
    near = spec(2, "required", pinned=True)
    requests = plain.pci_requests.requests

    def seat() -> None:
        found = hardware.numa_fit_instance_to_host(
            one.numa_topology,
            near.numa_topology.obj_clone(),
            provider_mapping={},
            pci_requests=near.pci_requests.requests,
            pci_stats=one.pci_stats,
        )
        assert found is not None

    def support() -> None:
        assert one.pci_stats.support_requests(requests, provider_mapping={})

    def consume() -> None:
        taken = own.consume_requests(requests)
        assert len(taken) == 2
        for device in taken:
            own.add_device(device)

    return {each.__name__: _microseconds(each, repeat) for each in (support, consume, seat)}


def _microseconds(work: object, repeat: int) -> float:
    work()
    began = time.process_time()
    for _ in range(repeat):
        work()
    return 1e6 * (time.process_time() - began) / repeat


if __name__ == "__main__":
    main()

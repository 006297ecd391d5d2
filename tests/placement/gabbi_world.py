"""What Placement's own tests find in the database, made here through the API.

Each function builds one of the worlds that those tests name as their fixture, and returns the
environment variables that they know it by.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

Environment = dict[str, str]
SHARING = "MISC_SHARES_VIA_AGGREGATE"
_FRESH = (
    *("RP_UUID", "RP_NAME", "RP_UUID1", "RP_NAME1", "RP_UUID2", "RP_NAME2"),
    *("PROJECT_ID", "ADMIN_PROJECT_ID", "SERVICE_PROJECT_ID", "USER_ID"),
    *("PROJECT_ID_ALT", "USER_ID_ALT", "INSTANCE_UUID", "MIGRATION_UUID", "CONSUMER_UUID"),
    *("PARENT_PROVIDER_UUID", "ALT_PARENT_PROVIDER_UUID"),
)


def new_id() -> str:
    return str(uuid.uuid4())


class World:
    """Makes things as an admin would, by the calls that move generations least."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def _call(self, method: str, path: str, body: Any = None, version: str = "1.37") -> Any:
        headers = {"OpenStack-API-Version": f"placement {version}", "X-Auth-Token": "admin"}
        reply = self._http.request(method, path, json=body, headers=headers)
        assert reply.is_success, f"{method} {path} {body}: {reply.text}"
        return reply.json() if reply.content else None

    def provider(
        self, name: str, *aggregates: str, parent: str | None = None, id_: str | None = None
    ) -> str:
        body = {"name": name, "uuid": id_ or new_id(), "parent_provider_uuid": parent}
        made = str(self._call("POST", "/resource_providers", body)["uuid"])
        if aggregates:
            self.aggregates(made, *aggregates)
        return made

    def aggregates(self, provider: str, *aggregates: str) -> None:
        path = f"/resource_providers/{provider}/aggregates"
        self._call("PUT", path, list(aggregates), version="1.1")  # moves no generation

    def stock(self, provider: str, name: str, total: int, **more: float) -> None:
        if name.startswith("CUSTOM_"):
            self._call("PUT", f"/resource_classes/{name}")
        body = {"resource_class": name, "total": total, "max_unit": total, **more}
        self._call("POST", f"/resource_providers/{provider}/inventories", body)

    def traits(self, provider: str, *names: str) -> None:
        for name in names:
            if name.startswith("CUSTOM_"):
                self._call("PUT", f"/traits/{name}")
        path = f"/resource_providers/{provider}/traits"
        generation = self._call("GET", path)["resource_provider_generation"]
        body = {"traits": list(names), "resource_provider_generation": generation}
        self._call("PUT", path, body)

    def claim(self, provider: str, amounts: Mapping[str, int], project: str, user: str) -> str:
        consumer = new_id()
        body = {
            "allocations": {provider: {"resources": dict(amounts)}},
            "project_id": project,
            "user_id": user,
            "consumer_generation": None,
        }
        self._call("PUT", f"/allocations/{consumer}", body)
        return consumer


def empty(_: World) -> Environment:
    names = {name: new_id() for name in _FRESH}
    classes = {
        "CUSTOM_RES_CLASS": "CUSTOM_IRON_NFV",
        "CUSTOM_RES_CLASS1": "CUSTOM_IRON_NFV1",
        "CUSTOM_RES_CLASS2": "CUSTOM_IRON_NFV2",
    }
    return names | classes


def allocations(world: World) -> Environment:
    """One provider, of which three consumers of two users hold something."""
    there = empty(world) | {"ALT_USER_ID": new_id()}
    provider = world.provider(there["RP_NAME"], id_=there["RP_UUID"])
    world.stock(provider, "DISK_GB", 2048, step_size=10, min_unit=10, max_unit=1000)
    world.stock(provider, "VCPU", 10, max_unit=10)
    project, user = there["PROJECT_ID"], there["USER_ID"]
    there["CONSUMER_0"] = world.claim(provider, {"DISK_GB": 1000}, project, user)
    there["CONSUMER_ID"] = world.claim(provider, {"VCPU": 6}, project, user)
    there["ALT_CONSUMER_ID"] = world.claim(
        provider, {"DISK_GB": 20, "VCPU": 1}, project, there["ALT_USER_ID"]
    )
    return there | {"ALT_RP_UUID": new_id(), "ALT_RP_NAME": new_id()}


def shared_storage(world: World) -> Environment:
    """Two computes with two NUMA nodes and a PF in each; two storages for both of them."""
    there = empty(world)
    there["AGG_UUID"] = aggregate = new_id()
    for name in ("cn1", "cn2", "ss", "ss2"):
        there[f"{name.upper()}_UUID"] = world.provider(name, aggregate)
    for compute in (1, 2):
        home = there[f"CN{compute}_UUID"]
        for node in (1, 2):
            place = f"{compute}_{node}"
            numa = world.provider(f"numa{place}", parent=home)
            pf = world.provider(f"pf{place}", parent=numa)
            world.stock(pf, "SRIOV_NET_VF", 8)
            there |= {f"NUMA{place}_UUID": numa, f"PF{place}_UUID": pf}
        world.stock(home, "VCPU", 24, allocation_ratio=16.0)
        world.stock(home, "MEMORY_MB", 128 * 1024, allocation_ratio=1.5)
    world.traits(there["CN1_UUID"], "HW_CPU_X86_SSE", "HW_CPU_X86_SSE2")
    for name in ("CN2", "SS", "SS2"):
        world.stock(there[f"{name}_UUID"], "DISK_GB", 2000, reserved=100)
    for name in ("SS", "SS2"):
        world.traits(there[f"{name}_UUID"], SHARING)
    return there


def numa_aggregates(world: World) -> Environment:
    """Two computes with CPUs in their NUMA nodes; one node has a storage for itself."""
    there = empty(world)
    a, b, c = (there.setdefault(f"AGG{letter}_UUID", new_id()) for letter in "ABC")
    of = {"cn1": [a], "cn2": [a, b], "ss1": [a], "ss2": [c]}
    for name, aggregates in of.items():
        there[f"{name.upper()}_UUID"] = world.provider(name, *aggregates)
    for compute in (1, 2):
        for node in (1, 2):
            place = f"{compute}_{node}"
            own = [c] if place == "1_1" else []
            numa = world.provider(f"numa{place}", *own, parent=there[f"CN{compute}_UUID"])
            world.stock(numa, "VCPU", 24, allocation_ratio=16.0)
            there[f"NUMA{place}_UUID"] = numa
    for name in ("SS1", "SS2"):
        world.stock(there[f"{name}_UUID"], "DISK_GB", 2000, reserved=100)
        world.traits(there[f"{name}_UUID"], SHARING)
    return there


def numa_network(world: World) -> Environment:
    """Accelerators below NUMA nodes and agents' network devices; a compute with NICs of PFs."""
    return _numa_network(world, empty(world))


def deep_numa_network(world: World) -> Environment:
    """The same two levels further down."""
    there = empty(world)
    top = world.provider("gp1")
    for number in (1, 2):
        parent = world.provider(f"p{number}", parent=top)
        there[f"CN{number}_UUID"] = world.provider(f"cn{number}", parent=parent)
    return _numa_network(world, there)


def _numa_network(world: World, there: Environment) -> Environment:
    there["AGGA_UUID"] = aggregate = new_id()
    there["SS1_UUID"] = storage = world.provider("ss1", aggregate)
    world.traits(storage, SHARING)
    world.stock(storage, "DISK_GB", 2000)
    for number in (1, 2):
        compute = there.get(f"CN{number}_UUID") or world.provider(f"cn{number}")
        there[f"CN{number}_UUID"] = compute
        world.aggregates(compute, aggregate)
    world.traits(there["CN1_UUID"], "COMPUTE_VOLUME_MULTI_ATTACH")
    return (
        there
        | _compute_of_nodes(world, there["CN1_UUID"])
        | _compute_of_nics(world, there["CN2_UUID"])
    )


def _compute_of_nodes(world: World, compute: str) -> Environment:
    there: Environment = {}
    nodes = [world.provider(f"numa{number}", parent=compute) for number in (0, 1)]
    there |= {f"NUMA{number}_UUID": node for number, node in enumerate(nodes)}
    world.traits(nodes[0], "HW_NUMA_ROOT")
    world.traits(nodes[1], "HW_NUMA_ROOT", "CUSTOM_FOO")
    for node in nodes:
        world.stock(node, "VCPU", 4)
    world.stock(nodes[0], "MEMORY_MB", 2048, min_unit=512, step_size=256)
    world.stock(nodes[1], "MEMORY_MB", 2048, min_unit=256, max_unit=1024)
    world.claim(nodes[0], {"VCPU": 2}, "numafx-project", "numafx-user")
    devices = (
        ("fpga0", 0, "FPGA", 1),
        ("pgpu0", 0, "VGPU", 8),
        ("fpga1_0", 1, "FPGA", 1),
        ("fpga1_1", 1, "FPGA", 1),
    )
    for name, place, kind, total in devices:
        there[f"{name.upper()}_UUID"] = made = world.provider(name, parent=nodes[place])
        world.stock(made, kind, total)
    there |= _agent(world, compute, "sriov_agent", "DIRECT", {"esn1": 10000, "esn2": 20000})
    return there | _agent(world, compute, "ovs_agent", "NORMAL", {"br_int": 1000})


def _agent(
    world: World, compute: str, name: str, vnic_type: str, devices: Mapping[str, int]
) -> Environment:
    agent = world.provider(name, parent=compute)
    world.traits(agent, f"CUSTOM_VNIC_TYPE_{vnic_type}")
    there = {f"{name.upper()}_UUID": agent}
    for device, bandwidth in devices.items():
        there[f"{device.upper()}_UUID"] = made = world.provider(device, parent=agent)
        world.traits(made, f"CUSTOM_PHYSNET{bandwidth // 10000}")
        world.stock(made, "NET_BW_EGR_KILOBIT_PER_SEC", bandwidth)
    return there


def _compute_of_nics(world: World, compute: str) -> Environment:
    there: Environment = {}
    world.stock(compute, "VCPU", 8)
    world.claim(compute, {"VCPU": 3}, "numafx-project", "numafx-user")
    world.stock(compute, "MEMORY_MB", 2048, min_unit=1024, step_size=128)
    world.stock(compute, "DISK_GB", 1000)
    world.traits(compute, "CUSTOM_FOO")
    for nic, networks, vfs in ((1, (1, 2), 4), (2, (1, 2, 1, 2), 2), (3, (1,), 8)):
        there[f"NIC{nic}_UUID"] = card = world.provider(f"nic{nic}", parent=compute)
        world.traits(card, "CUSTOM_HW_NIC_ROOT")
        for number, network in enumerate(networks, 1):
            pf = world.provider(f"pf{nic}_{number}", parent=card)
            there[f"PF{nic}_{number}_UUID"] = pf
            world.traits(pf, f"CUSTOM_PHYSNET{network}")
            world.stock(pf, "CUSTOM_VF", vfs)
    return there


def own_storage(world: World) -> Environment:
    """Three computes with disks of their own."""
    there = empty(world)
    there |= {f"AGG{letter}_UUID": new_id() for letter in "ABC"}
    for number in (1, 2, 3):
        there[f"CN{number}_UUID"] = compute = world.provider(f"cn{number}")
        world.stock(compute, "VCPU", 24)
        world.stock(compute, "MEMORY_MB", 128 * 1024)
        world.stock(compute, "DISK_GB", 2000)
    return there


def granular(world: World) -> Environment:
    """Three computes, two shared disks and a shared network, all a little different."""
    there = empty(world)
    a, b, c = (there.setdefault(f"AGG{letter}", new_id()) for letter in "ABC")
    common = {"VCPU": 8, "MEMORY_MB": 4096}
    net = {"SRIOV_NET_VF": 8, "CUSTOM_NET_MBPS": 4000}
    left = ("HW_CPU_X86_AVX", "HW_CPU_X86_AVX2", "HW_GPU_API_DXVA", "HW_NIC_DCB_PFC", "CUSTOM_FOO")
    middle = ("HW_CPU_X86_AVX", "HW_CPU_X86_AVX2", "HW_CPU_X86_SSE", "HW_NIC_ACCEL_TLS")
    right = ("HW_CPU_X86_MMX", "HW_GPU_API_DXVA", "CUSTOM_DISK_SSD")
    whole = {**common, "DISK_GB": 500, "VGPU": 8}
    made: tuple[tuple[str, list[str], Mapping[str, int], Iterable[str]], ...] = (
        ("cn_left", [a], {**whole, **net}, left),
        ("cn_middle", [a, b], {**common, **net}, middle),
        ("cn_right", [b, c], whole, right),
        ("shr_disk_1", [a], {"DISK_GB": 1000}, (SHARING, "CUSTOM_DISK_SSD")),
        ("shr_disk_2", [a, b], {"DISK_GB": 1000}, (SHARING,)),
        ("shr_net", [c], {"SRIOV_NET_VF": 16, "CUSTOM_NET_MBPS": 40000}, (SHARING,)),
    )
    for name, aggregates, stocks, traits in made:
        there[name.upper()] = provider = world.provider(name, *aggregates)
        for kind, total in stocks.items():
            more = {"max_unit": 2} if (name, kind) == ("cn_right", "VGPU") else {}
            world.stock(provider, kind, total, **more)
        world.traits(provider, *traits)
    return there


def qos(world: World) -> Environment:
    """Four computes of a Neutron with guaranteed bandwidth, on different segments."""
    there = empty(world)
    ovs = ("CUSTOM_VNIC_TYPE_NORMAL",)
    sriov = tuple(f"CUSTOM_VNIC_TYPE_{k}" for k in ("DIRECT", "DIRECT_PHYSICAL", "MACVTAP"))
    made: tuple[tuple[int, tuple[str, ...], tuple[int, int]], ...] = (
        (0, ("OTHER",), (5000, 10000)),
        (1, ("MSN_S1",), (5000, 10000)),
        (2, ("MSN_S2",), (5000, 10000)),
        (3, ("MSN_S1", "MSN_S2"), (1000, 1000)),
    )
    for number, networks, rates in made:
        name = f"compute{number}"
        there[name] = compute = world.provider(name)
        for kind, total in {"VCPU": 8, "MEMORY_MB": 4096, "DISK_GB": 500}.items():
            world.stock(compute, kind, total)
        agent = world.provider(f"{name}:Open vSwitch agent", parent=compute)
        there[f"{name}:ovs_agent"] = agent
        world.stock(agent, "NET_PACKET_RATE_KILOPACKET_PER_SEC", 1000)
        world.traits(agent, *ovs)
        for place, network in enumerate(networks):
            bridge = "br_ex" if place == 0 else "br_ex2"
            key, title = f"{name}:{bridge}", f"{name}:Open vSwitch agent:{bridge}"
            there[key] = _device(world, title, agent, rates[0], (*ovs, f"CUSTOM_PHYSNET_{network}"))
        agent = world.provider(f"{name}:NIC Switch agent", parent=compute)
        there[f"{name}:sriov_agent"] = agent
        world.traits(agent, *sriov)
        for place, network in enumerate(networks):
            key, title = f"{name}:pf{place}", f"{name}:NIC Switch agent:enp129s0f{place}"
            traits = (*sriov, f"CUSTOM_PHYSNET_{network}")
            there[key] = _device(world, title, agent, rates[1], traits)
    return there


def _device(world: World, name: str, agent: str, rate: int, traits: Iterable[str]) -> str:
    made = world.provider(name, parent=agent)
    world.stock(made, "NET_BW_EGR_KILOBIT_PER_SEC", rate)
    world.stock(made, "NET_BW_IGR_KILOBIT_PER_SEC", rate)
    world.traits(made, *traits)
    return made


WORLDS: Mapping[str, Callable[[World], Environment]] = {
    "APIFixture": empty,
    "AllocationFixture": allocations,
    "CORSFixture": empty,
    "DeepNUMANetworkFixture": deep_numa_network,
    "GranularFixture": granular,
    "LegacyRBACPolicyFixture": empty,
    "NUMAAggregateFixture": numa_aggregates,
    "NUMANetworkFixture": numa_network,
    "NeutronQoSMultiSegmentFixture": qos,
    "NonSharedStorageFixture": own_storage,
    "OpenPolicyFixture": empty,
    "SecureRBACPolicyFixture": empty,
    "SharedStorageFixture": shared_storage,
}
"""By the name under which Placement's tests ask for them."""

"""Placement's view of the devices, by osc-placement."""

import pytest

from clients.conftest import Surroundings
from running import Instance, until

pytestmark = pytest.mark.client


def inventories(shared: Instance, provider: str) -> dict[str, dict[str, int]]:
    """One row for each resource class of *provider*."""
    rows = shared.openstack("resource", "provider", "inventory", "list", provider)
    return {row["resource_class"]: row for row in rows}


@pytest.fixture(scope="module")
def trees(shared: Instance) -> dict[str, list[dict[str, str]]]:
    """The providers of each host, the host's own first."""
    rows = shared.openstack("resource", "provider", "list")
    roots = {row["uuid"]: row for row in rows if row["uuid"] == row["root_provider_uuid"]}
    return {
        root["name"]: [
            root,
            *(r for r in rows if r["root_provider_uuid"] == uuid and r is not root),
        ]
        for uuid, root in roots.items()
    }


def test_each_host_is_a_tree_of_its_own(trees: dict[str, list[dict[str, str]]]) -> None:
    assert trees.keys() == {"sim-1", "sim-2"}
    for tree in trees.values():
        assert len(tree) >= 4  # the host, two network cards, an NVMe drive


def test_the_host_offers_cpus_memory_and_disk(
    shared: Instance, trees: dict[str, list[dict[str, str]]]
) -> None:
    offered = inventories(shared, trees["sim-1"][0]["uuid"])
    assert offered["VCPU"]["total"] == 64
    assert offered["MEMORY_MB"]["total"] == 256 * 1024
    assert offered["DISK_GB"]["total"] in {2000, 2048}


def test_each_card_offers_its_vfs_by_their_purpose(
    shared: Instance, trees: dict[str, list[dict[str, str]]]
) -> None:
    offered: dict[str, int] = {}
    for provider in trees["sim-1"][1:]:
        for name, row in inventories(shared, provider["uuid"]).items():
            offered[name] = offered.get(name, 0) + row["total"]
    assert offered["SRIOV_NET_VF"] == 7
    assert offered["CUSTOM_PCI_8086_10CA"] == 7
    nvme = {name for name in offered if name not in {"SRIOV_NET_VF", "CUSTOM_PCI_8086_10CA"}}
    assert sum(offered[name] for name in nvme) == 4


def test_the_card_for_ports_carries_its_physical_network(shared: Instance) -> None:
    rows = shared.openstack(
        *["--os-placement-api-version", "1.39", "resource", "provider", "list"],
        *["--resource", "SRIOV_NET_VF=1", "--required", "CUSTOM_PHYSNET_PHYSNET1"],
    )
    assert len(rows) == 2  # one on each host


def test_usage_rises_with_a_server_and_falls_after_it(
    shared: Instance, surroundings: Surroundings
) -> None:
    server = shared.sdk.compute.create_server(
        name="used",
        image_id=surroundings.image_id,
        flavor_id=surroundings.flavor_id(surroundings.alias),
        networks="none",
    )
    shared.sdk.compute.wait_for_server(server, interval=0.2, wait=30)
    rows = shared.openstack("resource", "provider", "allocation", "show", server.id)
    holder = next(
        row["resource_provider"] for row in rows if "CUSTOM_PCI_8086_10CA" in row["resources"]
    )

    def used() -> int:
        rows = shared.openstack("resource", "provider", "usage", "show", holder)
        total: int = next(
            row["usage"] for row in rows if row["resource_class"] == "CUSTOM_PCI_8086_10CA"
        )
        return total

    before = used()
    assert before >= 1
    shared.sdk.compute.delete_server(server)
    shared.sdk.compute.wait_for_delete(server, interval=0.2, wait=30)
    until(lambda: used() == before - 1, "the device is used no more")


def test_candidates_name_providers_that_are_summarised(shared: Instance) -> None:
    rows = shared.openstack(
        *["--os-placement-api-version", "1.29", "allocation", "candidate", "list"],
        *["--resource", "CUSTOM_PCI_8086_10CA=1"],
    )
    assert rows


def test_a_devices_inventory_is_not_for_clients_to_write(
    shared: Instance, trees: dict[str, list[dict[str, str]]]
) -> None:
    card = next(
        provider
        for provider in trees["sim-1"][1:]
        if "CUSTOM_PCI_8086_10CA" in inventories(shared, provider["uuid"])
    )
    consumer = "11111111-2222-3333-4444-555555555555"
    said = shared.refused(
        *["resource", "provider", "allocation", "set", consumer, "--project-id", consumer],
        *["--user-id", consumer, "--allocation"],
        f"rp={card['uuid']},CUSTOM_PCI_8086_10CA=1",
    )
    assert "409" in said

"""Servers with devices, in the order in which an operator gets to them."""

import re
from collections.abc import Callable

import pytest

from clients.conftest import Surroundings, prepare
from running import Instance, until

pytestmark = pytest.mark.client

Remember = Callable[[str], str]
SLOT = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def test_a_server_with_a_direct_port_gets_a_vf(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name, port = gone_afterwards("with-port"), surroundings.port()
    arguments = surroundings.server_arguments(surroundings.plain, "--port", port)
    made = shared.openstack("server", "create", *arguments, "--wait", name)
    assert made["status"] == "ACTIVE"
    host = made["OS-EXT-SRV-ATTR:host"]
    assert host in {"sim-1", "sim-2"}

    bound = shared.openstack("port", "show", port)
    assert bound["binding_vif_type"] == "hw_veb"
    assert bound["binding_host_id"] == host
    assert SLOT.fullmatch(bound["binding_profile"]["pci_slot"])
    assert bound["binding_profile"]["pci_vendor_info"] == "8086:10ca"
    assert bound["binding_profile"]["physical_network"] == "physnet1"
    assert bound["binding_vif_details"]["vlan"] == "900"
    assert bound["device_id"] == made["id"]
    until(
        lambda: shared.sdk.network.get_port(bound["id"]).status == "ACTIVE",
        f"port {port} becomes ACTIVE",
    )
    addresses = shared.openstack("server", "show", name)["addresses"]
    assert addresses == {surroundings.network: [bound["fixed_ips"][0]["ip_address"]]}

    shared.done("server", "delete", "--wait", name)
    released = shared.openstack("port", "show", port)
    assert released["binding_vif_type"] == "unbound"
    assert "pci_slot" not in released["binding_profile"]
    assert released["device_id"] == ""
    shared.done("port", "delete", port)


def test_a_server_with_an_alias_flavor_gets_a_device(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name = gone_afterwards("with-alias")
    arguments = surroundings.server_arguments(surroundings.alias)
    made = shared.openstack("server", "create", *arguments, "--wait", name)
    assert made["status"] == "ACTIVE"
    held = shared.openstack("resource", "provider", "allocation", "show", made["id"])
    classes = [key for row in held for key in row["resources"]]
    assert any(key.startswith("CUSTOM_PCI_8086_10CA") for key in classes)
    assert {"VCPU", "MEMORY_MB", "DISK_GB"} <= set(classes)
    console = shared.done("console", "log", "show", name)
    assert console.strip()


def test_servers_are_listed_with_their_image_and_flavor(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name = gone_afterwards("listed")
    shared.openstack(
        "server", "create", *surroundings.server_arguments(surroundings.plain), "--wait", name
    )
    row = next(row for row in shared.openstack("server", "list") if row["Name"] == name)
    assert (row["Status"], row["Image"], row["Flavor"]) == (
        "ACTIVE",
        surroundings.image,
        surroundings.plain,
    )
    assert shared.openstack("server", "list", "--name", "^listed$", "--all-projects")


def test_a_server_is_paused_with_its_device_and_goes_on(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name, port = gone_afterwards("paused"), surroundings.port()
    arguments = surroundings.server_arguments(surroundings.plain, "--port", port)
    shared.openstack("server", "create", *arguments, "--wait", name)

    def seen() -> tuple[str, int]:
        shown = shared.openstack("server", "show", name)
        return shown["status"], shown["OS-EXT-STS:power_state"]

    shared.done("server", "pause", name)
    until(lambda: seen() == ("PAUSED", 3), "it is paused")
    assert shared.openstack("port", "show", port)["status"] == "ACTIVE"
    refused = shared.refused("server", "stop", name)
    assert "while it is in vm_state paused" in refused
    shared.done("server", "unpause", name)
    until(lambda: seen() == ("ACTIVE", 1), "it runs")
    shared.done("server", "delete", "--wait", name)
    shared.done("port", "delete", port)


def test_several_servers_come_of_one_request(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    arguments = surroundings.server_arguments(surroundings.alias)
    shared.openstack("server", "create", *arguments, "--min", "2", "--max", "2", "--wait", "many")
    names = [row["Name"] for row in shared.openstack("server", "list", "--name", "^many")]
    assert sorted(map(gone_afterwards, names)) == ["many-1", "many-2"]


def test_one_request_too_many_says_what_is_lacking(fresh: Instance) -> None:
    there = Surroundings(fresh)
    prepare(there)
    fresh.openstack(
        *["flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1"],
        *["--property", "pci_passthrough:alias=a1:7", "all-seven"],
    )
    fresh.openstack("server", "create", *there.server_arguments("all-seven"), "--wait", "greedy")
    arguments = there.server_arguments(there.alias)
    fresh.refused("server", "create", *arguments, "--wait", "late")
    shown = fresh.openstack("server", "show", "late", "-c", "fault", "-c", "status")
    assert shown["status"] == "ERROR"
    assert shown["fault"]["code"] == 500
    said = shown["fault"]["message"]
    assert said.startswith("No valid host was found.")
    assert "a1" in said
    assert "sim-1" in said

    fresh.done("server", "delete", "--wait", "late", "greedy")
    # Cleaning comes between the release and the next holder.
    until(lambda: used_devices(fresh) == 0, "seven devices are free again")
    fresh.openstack("server", "create", *arguments, "--wait", "next")


def used_devices(instance: Instance) -> int:
    """How many devices of alias a1 are held or not free for another reason."""
    total = 0
    for provider in instance.sdk.placement.resource_providers():
        for inventory in instance.sdk.placement.resource_provider_inventories(provider):
            if inventory.resource_class.startswith("CUSTOM_PCI_8086_10CA"):
                path = f"/resource_providers/{provider.id}/usages"
                usages = instance.sdk.placement.get(path).json()["usages"]
                total += usages[inventory.resource_class] + inventory.reserved
    return total


def test_a_server_is_renamed_and_described_by_metadata(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name = gone_afterwards("before")
    arguments = surroundings.server_arguments(surroundings.plain)
    shared.openstack("server", "create", *arguments, "--property", "tier=web", "--wait", name)
    gone_afterwards("after")
    shared.done("server", "set", "--name", "after", "--property", "tier=db", "before")
    assert shared.openstack("server", "show", "after")["properties"] == {"tier": "db"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--flavor", "surrounding-plain", "--image", "no-such-image"], "no-such-image"),
        (["--flavor", "no-such-flavor", "--image", "surrounding-image"], "no-such-flavor"),
    ],
)
def test_what_does_not_exist_is_named(
    shared: Instance, surroundings: Surroundings, words: list[str], named: str
) -> None:
    assert named in shared.refused("server", "create", *words, "--nic", "none", "never")
    assert shared.openstack("server", "list", "--name", "never") == []


def test_an_unknown_alias_is_refused_with_those_that_exist(shared: Instance) -> None:
    shared.openstack(
        *["flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1", "f-unknown"]
    )
    wanted = ["--property", "pci_passthrough:alias=a9:1"]
    said = shared.refused("flavor", "set", *wanted, "f-unknown")
    assert "400" in said
    assert "a9" in said
    assert "a1" in said
    assert "nvme" in said


def test_a_port_in_use_is_refused(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    port = surroundings.port()
    arguments = surroundings.server_arguments(surroundings.plain, "--port", port)
    shared.openstack("server", "create", *arguments, "--wait", gone_afterwards("holder"))
    assert "409" in shared.refused("server", "create", *arguments, gone_afterwards("thief"))
    assert shared.openstack("server", "list", "--name", "thief") == []


def test_a_card_comes_to_a_server_that_runs_and_goes_again(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Remember
) -> None:
    name, port = gone_afterwards("plugged"), surroundings.port()
    arguments = surroundings.server_arguments(surroundings.plain)
    made = shared.openstack("server", "create", *arguments, "--wait", name)
    shared.done("server", "add", "port", name, port)
    shared.done("server", "add", "network", name, surroundings.network)
    bound = shared.openstack("port", "show", port)
    assert bound["device_id"] == made["id"]

    def states() -> list[str]:
        ports = shared.sdk.network.ports(device_id=made["id"])
        return [one.status for one in ports]

    until(lambda: states() == ["ACTIVE", "ACTIVE"], "both ports are ACTIVE")
    assert "409" in shared.refused("server", "add", "port", name, port)
    shared.done("server", "remove", "port", name, port)
    until(
        lambda: shared.sdk.network.get_port(bound["id"]).device_id == "",
        "the guest has let go of the port",
    )
    shared.done("server", "remove", "network", name, surroundings.network)
    until(lambda: states() == [], "the port made for the server is gone")
    shared.done("port", "delete", port)

"""Flavors and the extra specs that ask for devices."""

import pytest

from running import Instance

pytestmark = pytest.mark.client


def test_a_flavor_is_made_and_asks_for_a_device(shared: Instance) -> None:
    made = shared.openstack(
        *["flavor", "create", "--ram", "512", "--vcpus", "2", "--disk", "1", "f-alias"]
    )
    assert (made["ram"], made["vcpus"], made["disk"]) == (512, 2, 1)
    shared.done("flavor", "set", "--property", "pci_passthrough:alias=a1:1", "f-alias")
    shown = shared.openstack("flavor", "show", "f-alias")
    assert shown["properties"] == {"pci_passthrough:alias": "a1:1"}
    shared.done("flavor", "unset", "--property", "pci_passthrough:alias", "f-alias")
    assert shared.openstack("flavor", "show", "f-alias")["properties"] == {}


def test_properties_may_come_with_the_flavor(shared: Instance) -> None:
    made = shared.openstack(
        *["flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "0"],
        *["--property", "pci_passthrough:alias=a1:2", "--property", "hw:cpu_policy=shared"],
        "f-two",
    )
    assert made["properties"]["pci_passthrough:alias"] == "a1:2"
    rows = shared.openstack("flavor", "list", "--long")
    listed = next(row for row in rows if row["Name"] == "f-two")
    assert listed["Properties"]["hw:cpu_policy"] == "shared"


def test_a_flavor_of_a_name_that_exists_is_refused(shared: Instance) -> None:
    command = ["flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1", "f-once"]
    shared.openstack(*command)
    assert "409" in shared.refused(*command)


def test_a_deleted_flavor_is_gone(shared: Instance) -> None:
    shared.openstack("flavor", "create", "--ram", "64", "--disk", "1", "f-brief")
    shared.done("flavor", "delete", "f-brief")
    assert "f-brief" in shared.refused("flavor", "show", "f-brief")

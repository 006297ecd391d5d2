"""Who may use a network, how many of what, on which wires; and a port's bindings."""

from __future__ import annotations

import pytest
from openstack.exceptions import ConflictException

from running import Instance

pytestmark = pytest.mark.client


def test_a_network_is_shared_with_one_project(shared: Instance) -> None:
    network = shared.openstack("network", "create", "sharing-n")
    target = shared.openstack("project", "create", "sharing-p")["id"]
    made = shared.openstack(
        *["network", "rbac", "create", "--type", "network", "--action", "access_as_shared"],
        *["--target-project", "sharing-p", "sharing-n"],
    )
    assert (made["object_id"], made["target_project_id"]) == (network["id"], target)
    rows = shared.openstack("network", "rbac", "list", "--long")
    assert made["id"] in {row["ID"] for row in rows}
    said = shared.refused(
        *["network", "rbac", "create", "--type", "network", "--action", "access_as_shared"],
        *["--target-project", "sharing-p", "sharing-n"],
    )
    assert "already exists" in said
    shared.done("network", "rbac", "delete", made["id"])


def test_a_network_gets_a_second_segment(shared: Instance) -> None:
    words = ["--provider-network-type", "vlan", "--provider-physical-network", "physnet1"]
    shared.openstack("network", "create", *words, "--provider-segment", "941", "wires")
    made = shared.openstack(
        *["network", "segment", "create", "--network", "wires", "--network-type", "vlan"],
        *["--physical-network", "physnet1", "--segment", "942", "second"],
    )
    assert (made["name"], made["segmentation_id"]) == ("second", 942)
    rows = shared.openstack("network", "segment", "list", "--network", "wires")
    assert sorted(row["Segment"] for row in rows) == [941, 942]
    shared.done("network", "segment", "set", "--description", "row 2", "second")
    shared.done("network", "segment", "delete", "second")


def test_a_project_is_held_to_its_ports(shared: Instance) -> None:
    shared.openstack("project", "create", "few-ports")
    shared.openstack("network", "create", "few-n")
    shared.done("quota", "set", "--ports", "0", "few-ports")
    rows = {row["Resource"]: row["Limit"] for row in shared.openstack("quota", "show", "few-ports")}
    assert (rows["ports"], rows["networks"]) == (0, -1)
    said = shared.refused("port", "create", "--network", "few-n", "--project", "few-ports", "p")
    assert "Quota exceeded for resources: ['port']" in said
    shared.done("quota", "delete", "--network", "few-ports")
    shared.openstack("port", "create", "--network", "few-n", "--project", "few-ports", "p")


def test_a_port_has_bindings_for_openstacksdk(shared: Instance) -> None:
    network = shared.sdk.network.create_network(name="bindings-n")
    port = shared.sdk.network.create_port(
        network_id=network.id, device_owner="compute:nova", binding_vnic_type="direct"
    )
    (active,) = shared.sdk.network.port_bindings(port)
    assert (active.host, active.status) == ("", "ACTIVE")
    with pytest.raises(ConflictException, match="there is no host nowhere"):
        shared.sdk.network.create_port_binding(port, host="nowhere", vnic_type="direct")
    shared.sdk.network.delete_port(port)
    shared.sdk.network.delete_network(network)

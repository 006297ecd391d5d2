"""Networks on a VLAN, their subnets, and what is refused of them."""

import pytest

from running import Instance

pytestmark = pytest.mark.client


def vlan(segment: int | str, name: str, physical_network: str = "physnet1") -> list[str]:
    """The words of a command that makes a VLAN network."""
    return [
        *["network", "create", "--provider-network-type", "vlan"],
        *["--provider-physical-network", physical_network, "--provider-segment", str(segment)],
        name,
    ]


def test_a_vlan_network_is_made_and_shown(shared: Instance) -> None:
    made = shared.openstack(*vlan(15, "net15"))
    shown = shared.openstack("network", "show", "net15")
    for answer in (made, shown):
        assert answer["provider:network_type"] == "vlan"
        assert answer["provider:physical_network"] == "physnet1"
        assert answer["provider:segmentation_id"] == 15
        assert (answer["status"], answer["admin_state_up"]) == ("ACTIVE", True)
    assert made["id"] in {row["ID"] for row in shared.openstack("network", "list")}


def test_a_subnet_hands_out_all_but_its_edges_and_gateway(shared: Instance) -> None:
    shared.openstack(*vlan(20, "net20"))
    made = shared.openstack(
        *["subnet", "create", "--network", "net20", "--subnet-range", "10.0.20.0/24", "sub20"]
    )
    assert (made["cidr"], made["gateway_ip"]) == ("10.0.20.0/24", "10.0.20.1")
    assert made["allocation_pools"] == [{"start": "10.0.20.2", "end": "10.0.20.254"}]
    assert shared.openstack("network", "show", "net20")["subnets"] == [made["id"]]


@pytest.mark.parametrize("segment", [0, 4095, -1, "fifteen"])
def test_a_vlan_id_outside_its_range_is_refused(shared: Instance, segment: int | str) -> None:
    said = shared.refused(*vlan(segment, "never"))
    assert "400" in said
    assert str(segment) in said
    assert "4094" in said  # what would be right
    assert shared.openstack("network", "list", "--name", "never") == []


def test_a_vlan_id_in_use_is_refused(shared: Instance) -> None:
    shared.openstack(*vlan(30, "first30"))
    said = shared.refused(*vlan(30, "second30"))
    assert "409" in said
    assert "30" in said
    assert shared.openstack("network", "list", "--name", "second30") == []


def test_an_unknown_physical_network_is_refused_with_those_that_exist(shared: Instance) -> None:
    said = shared.refused(*vlan(31, "nowhere", physical_network="physnet9"))
    assert "400" in said
    assert "physnet9" in said
    assert "physnet1" in said
    assert shared.openstack("network", "list", "--name", "nowhere") == []


def test_a_deleted_network_gives_its_vlan_back(shared: Instance) -> None:
    shared.openstack(*vlan(32, "brief"))
    shared.done("network", "delete", "brief")
    shared.openstack(*vlan(32, "again"))


def test_each_host_has_a_living_sriov_agent(shared: Instance) -> None:
    rows = shared.openstack("network", "agent", "list", "--agent-type", "nic")
    assert {row["Host"] for row in rows} == {"sim-1", "sim-2"}
    assert all(row["Alive"] is True and row["State"] is True for row in rows)
    shown = shared.openstack("network", "agent", "show", rows[0]["ID"])
    assert shown["agent_type"] == "NIC Switch agent"
    assert "physnet1" in str(shown["configuration"])

"""Faults have the types that Neutron gives them, found by ``./dev differential network``."""

from typing import Any

import pytest

from api.network_site import Client, World

pytestmark = pytest.mark.service


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"ethertype": ""}, "SecurityGroupRuleInvalidEtherType"),
        ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "bogus"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"protocol": 58}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "2001:db8::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"port_range_min": 1}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "gre", "port_range_min": 1}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "tcp", "port_range_min": 0}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
        (
            {"protocol": "tcp", "port_range_min": 9, "port_range_max": 8},
            "SecurityGroupInvalidPortRange",
        ),
        ({"protocol": "tcp", "port_range_min": 9}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 0}, "SecurityGroupMissingIcmpType"),
    ],
)
def test_rules_of_groups(admin: Client, fields: dict[str, Any], kind: str) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})
    rule = {"security_group_id": group["id"], "direction": "ingress", **fields}
    body = {"security_group_rule": rule}
    assert admin.refused("POST", "/security-group-rules", 400, body)[0] == kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"allocation_pools": [{"start": "192.0.2.9", "end": "192.0.2.8"}]},
            "InvalidAllocationPool",
        ),
        (
            {"allocation_pools": [{"start": "2001:db8::1", "end": "2001:db8::2"}]},
            "InvalidAllocationPool",
        ),
        (
            {"allocation_pools": [{"start": "192.0.2.0", "end": "192.0.2.8"}]},
            "OutOfBoundsAllocationPool",
        ),
        ({"dns_nameservers": [f"192.0.2.{n}" for n in range(6)]}, "DNSNameServersExhausted"),
        ({"dns_nameservers": ["2001:db8::53"]}, "InvalidInput"),
        (
            {
                "host_routes": [
                    {"destination": f"10.0.{n}.0/24", "nexthop": "192.0.2.9"} for n in range(21)
                ]
            },
            "HostRoutesExhausted",
        ),
        ({"enable_dhcp": "maybe"}, "InvalidInput"),
    ],
)
def test_subnets_when_made_and_when_changed(
    admin: Client, fields: dict[str, Any], kind: str
) -> None:
    network = admin.network(15)["id"]
    body = {"network_id": network, "cidr": "192.0.2.0/24", "ip_version": 4}
    assert admin.refused("POST", "/subnets", 400, {"subnet": {**body, **fields}})[0] == kind
    path = f"/subnets/{admin.subnet(network)['id']}"
    assert admin.refused("PUT", path, 400, {"subnet": fields})[0] == kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"qos_policy_id": "junk"}, "HTTPBadRequest"),
        ({"dns_name": "guest"}, "HTTPBadRequest"),
        ({"admin_state_up": "maybe"}, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "192.0.2.9"}]}, "InvalidInput"),
    ],
)
def test_ports(admin: Client, fields: dict[str, Any], kind: str) -> None:
    body = {"port": {"network_id": admin.network(15)["id"], **fields}}
    assert admin.refused("POST", "/ports", 400, body)[0] == kind


def test_every_port_is_no_range(admin: Client) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 1,
        "port_range_max": 65535,
    }
    made = admin.post("/security-group-rules", {"security_group_rule": rule})
    assert (made["port_range_min"], made["port_range_max"]) == (None, None)


def test_null_empties_a_ports_lists(admin: Client) -> None:
    pairs = [{"ip_address": "192.0.2.9"}]
    port = admin.port(admin.network(15)["id"], allowed_address_pairs=pairs, extra_dhcp_opts=None)
    nothing = {"port": {"allowed_address_pairs": None, "extra_dhcp_opts": None}}
    changed = admin.put(f"/ports/{port['id']}", nothing)
    assert (changed["allowed_address_pairs"], changed["extra_dhcp_opts"]) == ([], [])
    assert admin.port(port["network_id"], allowed_address_pairs=None)["extra_dhcp_opts"] == []


def test_whether_a_port_is_trusted_is_admins_to_see(one: World, admin: Client) -> None:
    network = one.client("member").post("/networks", {"network": {"name": "theirs"}})
    port = admin.port(network["id"], project_id="red", trusted=True)
    assert port["trusted"] is True
    shown = one.client("member").get(f"/ports/{port['id']}")["port"]
    assert "trusted" not in shown
    (listed,) = one.client("member").get("/ports")["ports"]
    assert "trusted" not in listed


def test_the_owner_of_a_network_may_clear_it_of_others_ports(one: World, admin: Client) -> None:
    owner = one.client("member", "blue")
    network = owner.post("/networks", {"network": {"name": "theirs"}})
    port = admin.port(network["id"], project_id="red")
    path = f"/ports/{port['id']}"
    owner.delete(path)
    admin.call("GET", path, 404)
    mine = one.client("member", "red").port(admin.network(16, shared=True)["id"])
    assert owner.refused("DELETE", f"/ports/{mine['id']}", 404)[0] == "PortNotFound"

"""Faults have the types that Neutron gives them, found by ``./dev differential network``."""

from typing import Any

import pytest

from api.network_site import Client, World

pytestmark = pytest.mark.service
GONE = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"ethertype": ""}, "SecurityGroupRuleInvalidEtherType"),
        ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "bogus"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"protocol": 58}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "2001:db8::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "192.0.2.0/33"}, "InvalidCIDR"),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
        ({"port_range_min": 1}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "gre", "port_range_min": 1}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "tcp", "port_range_min": 0}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_max": "x"}, "SecurityGroupInvalidPortValue"),
        (
            {"remote_ip_prefix": "192.0.2.0/24", "remote_group_id": GONE},
            "SecurityGroupMultipleRemoteEntites",
        ),
        (
            {"remote_ip_prefix": "2001:db8::/64", "remote_group_id": GONE},
            "SecurityGroupRuleParameterConflict",
        ),
        (
            {"protocol": "tcp", "port_range_min": 9, "port_range_max": 8},
            "SecurityGroupInvalidPortRange",
        ),
        ({"protocol": "tcp", "port_range_min": 9}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_min": 65536}, "SecurityGroupInvalidPortValue"),
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
        ({"fixed_ips": [{"subnet_id": "junk"}]}, "HTTPBadRequest"),
        ({"binding:profile": {"a": "b" * 4100}}, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "192.0.2.9"}]}, "InvalidInput"),
    ],
)
def test_ports(admin: Client, fields: dict[str, Any], kind: str) -> None:
    body = {"port": {"network_id": admin.network(15)["id"], **fields}}
    assert admin.refused("POST", "/ports", 400, body)[0] == kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"qos_policy_id": "junk"}, "HTTPBadRequest"),
        ({"mtu": "x"}, "InvalidInput"),
        ({"provider:segmentation_id": "x"}, "InvalidInput"),
    ],
)
def test_networks_when_made_and_when_changed(
    admin: Client, fields: dict[str, Any], kind: str
) -> None:
    assert admin.refused("POST", "/networks", 400, {"network": fields})[0] == kind
    path = f"/networks/{admin.network(15)['id']}"
    assert admin.refused("PUT", path, 400, {"network": fields})[0] == kind


def test_rules_are_the_same_whichever_way_their_protocol_is_said(admin: Client) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})["id"]

    def body(ethertype: str, protocol: object) -> dict[str, Any]:
        fields = {"direction": "ingress", "ethertype": ethertype, "protocol": protocol}
        return {"security_group_rule": {"security_group_id": group, **fields}}

    made = admin.post("/security-group-rules", body("IPv6", "icmp"))
    assert made["protocol"] == "ipv6-icmp"
    assert admin.post("/security-group-rules", body("IPv4", "hopopt"))["protocol"] == "hopopt"
    for again in (body("IPv6", 1), body("ipv6", "icmpv6"), body("IPv6", 58), body("IPv4", "ip")):
        kind, _ = admin.refused("POST", "/security-group-rules", 409, again)
        assert kind == "SecurityGroupRuleExists"


def test_rules_are_found_by_ethertype_and_protocol_in_any_case(admin: Client) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})["id"]
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    made = admin.post("/security-group-rules", {"security_group_rule": rule})["id"]
    path = "/security-group-rules"
    found = admin.get(path, ethertype="ipv4", protocol="TCP")["security_group_rules"]
    assert [one["id"] for one in found] == [made]
    others = admin.get(path, protocol="any", security_group_id=group)["security_group_rules"]
    assert {one["direction"] for one in others} == {"egress"}
    kind, _ = admin.refused("GET", path, 400, ethertype="ipx")
    assert kind == "SecurityGroupRuleInvalidEtherType"


def test_a_rule_is_of_a_group_that_is_there(admin: Client) -> None:
    body = {"security_group_rule": {"security_group_id": "none", "direction": "ingress"}}
    kind, _ = admin.refused("POST", "/security-group-rules", 404, body)
    assert kind == "SecurityGroupNotFound"


def test_what_ports_have_stays_stateful(admin: Client) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})["id"]
    path = f"/security-groups/{group}"
    port = admin.port(admin.network(15)["id"], security_groups=[group])
    kind, message = admin.refused("PUT", path, 409, {"security_group": {"stateful": False}})
    assert (kind, port["id"] in message) == ("SecurityGroupInUse", True)
    same = {"security_group": {"stateful": True, "name": "other"}}
    assert admin.put(path, same)["name"] == "other"
    admin.put(f"/ports/{port['id']}", {"port": {"security_groups": []}})
    assert admin.put(path, {"security_group": {"stateful": False}})["stateful"] is False


def test_the_mac_of_what_serves_a_network_stays(admin: Client) -> None:
    network = admin.network(15)["id"]
    port = admin.port(network, device_owner="network:other")
    path = f"/ports/{port['id']}"
    other = {"mac_address": "02:00:00:00:00:07"}
    kind, message = admin.refused("PUT", path, 409, {"port": other})
    assert (kind, "network:other" in message) == ("UnsupportedPortDeviceOwner", True)
    admin.put(path, {"port": {"mac_address": port["mac_address"], "device_owner": "other"}})
    becoming = {"port": {**other, "device_owner": "network:other"}}
    assert admin.refused("PUT", path, 409, becoming)[0] == "UnsupportedPortDeviceOwner"
    assert admin.put(path, {"port": other})["mac_address"] == other["mac_address"]


def test_a_port_has_what_its_guest_makes_on_every_subnet(admin: Client) -> None:
    network = admin.network(15)["id"]
    four = admin.subnet(network)["id"]
    mac = "02:00:00:00:00:07"
    port = admin.port(network, mac_address=mac, fixed_ips=[{"subnet_id": four}])
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}
    subnet = admin.post("/subnets", {"subnet": {**six, "ipv6_ra_mode": "slaac"}})["id"]
    own = {"subnet_id": subnet, "ip_address": "2001:db8::ff:fe00:7"}
    path = f"/ports/{port['id']}"
    assert admin.get(path)["port"]["fixed_ips"] == [*port["fixed_ips"], own]
    assert admin.put(path, {"port": {"fixed_ips": []}})["fixed_ips"] == [own]
    moved = admin.put(path, {"port": {"mac_address": "02:00:00:00:00:08"}})
    assert moved["fixed_ips"] == [{**own, "ip_address": "2001:db8::ff:fe00:8"}]
    without = admin.port(network, mac_address="02:00:00:00:00:09", fixed_ips=[])
    assert without["fixed_ips"] == [{**own, "ip_address": "2001:db8::ff:fe00:9"}]


def test_what_guests_are_told_needs_dhcp(admin: Client) -> None:
    network = admin.network(15)["id"]
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}
    path = f"/subnets/{admin.post('/subnets', {'subnet': {**six, 'ipv6_ra_mode': 'slaac'}})['id']}"
    kind, message = admin.refused("PUT", path, 400, {"subnet": {"enable_dhcp": False}})
    assert (kind, "need enable_dhcp true" in message) == ("InvalidInput", True)
    assert admin.put(path, {"subnet": {"enable_dhcp": True, "name": "s"}})["name"] == "s"


def test_no_pools_are_the_servers_choice(admin: Client) -> None:
    subnet = admin.subnet(admin.network(15)["id"], allocation_pools=[])
    assert subnet["allocation_pools"] == [{"start": "192.0.2.2", "end": "192.0.2.254"}]


def test_dhcp_options_of_a_port_are_changed_one_by_one(admin: Client) -> None:
    def option(name: str, value: str | None, version: int = 4) -> dict[str, Any]:
        return {"opt_name": name, "opt_value": value, "ip_version": version}

    mtu, boot = option("mtu", "1400"), option("bootfile-name", "pxe.0")
    said = [{"opt_name": "mtu", "opt_value": "1400"}, boot, option("router", None)]
    port = admin.port(admin.network(15)["id"], extra_dhcp_opts=said)
    assert port["extra_dhcp_opts"] == [mtu, boot]
    path = f"/ports/{port['id']}"

    def changed(*options: dict[str, Any]) -> Any:
        return admin.put(path, {"port": {"extra_dhcp_opts": list(options)}})["extra_dhcp_opts"]

    assert changed() == [mtu, boot]
    six = option("mtu", "1300", 6)
    assert changed({**six, "ip_version": "6"}) == [mtu, boot, six]
    assert changed(option("mtu", None)) == [boot, six]
    assert changed(option("gone", None)) == [boot, six]
    twice = {"port": {"extra_dhcp_opts": [option("new", "1"), option("new", "2")]}}
    kind, message = admin.refused("PUT", path, 400, twice)
    assert (kind, "new of IPv4 more than once" in message) == ("InvalidInput", True)
    assert admin.get(path)["port"]["extra_dhcp_opts"] == [boot, six]


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


def test_a_tag_is_said_once(admin: Client) -> None:
    path = f"/networks/{admin.network(15)['id']}/tags"
    admin.call("PUT", path, 200, {"tags": ["red"]})
    kind, message = admin.refused("PUT", path, 400, {"tags": ["blue", "red", "blue"]})
    assert kind == "InvalidInput"
    assert "'blue' 2 times" in message
    assert admin.get(path) == {"tags": ["red"]}
    admin.call("PUT", f"{path}/red", 201)
    assert admin.get(path) == {"tags": ["red"]}


def test_a_dhcp_option_has_a_value_or_null(admin: Client) -> None:
    port = admin.port(admin.network(15)["id"])
    body = {"port": {"extra_dhcp_opts": [{"opt_name": "mtu"}]}}
    kind, message = admin.refused("PUT", f"/ports/{port['id']}", 400, body)
    assert (kind, "opt_value of mtu is missing" in message) == ("InvalidInput", True)


def test_what_serves_a_network_is_not_guarded(admin: Client) -> None:
    network = admin.network(15)["id"]
    router = admin.port(network, device_owner="network:other", port_security_enabled=True)
    assert (router["port_security_enabled"], router["security_groups"]) == (False, [])
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})["id"]
    fields = {"device_owner": "network:other", "security_groups": [group]}
    body = {"port": {"network_id": network, **fields}}
    kind, _ = admin.refused("POST", "/ports", 400, body)
    assert kind == "PortSecurityAndIPRequiredForSecurityGroups"


def test_groups_are_not_put_on_an_unguarded_port(admin: Client) -> None:
    group = admin.post("/security-groups", {"security_group": {"name": "g"}})["id"]
    port = admin.port(admin.network(15)["id"], port_security_enabled=False)
    body = {"port": {"security_groups": [group]}}
    kind, _ = admin.refused("PUT", f"/ports/{port['id']}", 400, body)
    assert kind == "PortSecurityAndIPRequiredForSecurityGroups"
    guarded = admin.port(port["network_id"])
    off = {"port": {"port_security_enabled": False}}
    kind, _ = admin.refused("PUT", f"/ports/{guarded['id']}", 409, off)
    assert kind == "PortSecurityPortHasSecurityGroup"


def test_an_ipv6_subnet_needs_the_mtu_of_ipv6(admin: Client) -> None:
    network = admin.network(15, mtu=1279)
    path = f"/networks/{network['id']}"
    six = {"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
    kind, _ = admin.refused("POST", "/subnets", 409, {"subnet": six})
    assert kind == "NetworkMTUSubnetConflict"
    admin.put(path, {"network": {"mtu": 1280}})
    admin.post("/subnets", {"subnet": six})


def test_an_address_that_guests_make_is_not_chosen(admin: Client) -> None:
    network = admin.network(15)["id"]
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64", **modes}
    subnet = admin.post("/subnets", {"subnet": six})["id"]
    entry = {"ip_address": "2001:db8::74"}
    for said in (entry, {**entry, "subnet_id": subnet}):
        body = {"port": {"network_id": network, "fixed_ips": [said]}}
        kind, message = admin.refused("POST", "/ports", 400, body)
        assert (kind, subnet in message) == ("AllocationOnAutoAddressSubnet", True)
    own = {"ip_address": "2001:db8::ff:fe00:7"}  # what a guest with this MAC makes
    port = admin.port(network, mac_address="02:00:00:00:00:07", fixed_ips=[own])
    assert port["fixed_ips"] == [{**own, "subnet_id": subnet}]


def test_an_external_network_that_is_not_shared_has_its_owners_ports_only(
    one: World, admin: Client
) -> None:
    network = admin.network(15, **{"router:external": True})["id"]
    member = one.client("member", "blue")
    assert member.get(f"/networks/{network}")["network"]["router:external"] is True
    body = {"port": {"network_id": network}}
    assert member.refused("POST", "/ports", 403, body)[0] == "PolicyNotAuthorized"
    admin.put(f"/networks/{network}", {"network": {"shared": True}})
    member.port(network)

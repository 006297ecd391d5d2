"""``/v2.0/subnets``: made, shown, changed, refused."""

from typing import Any

import pytest

from api.network_site import HOST_ID, Client, World

pytestmark = pytest.mark.service


@pytest.fixture
def network(admin: Client) -> str:
    return str(admin.network(15)["id"])


def test_a_subnet_is_made_as_the_client_asks(admin: Client, network: str) -> None:
    made = admin.subnet(
        network,
        name="s",
        enable_dhcp="False",
        ip_version="4",
        gateway_ip="192.0.2.254",
        allocation_pools=[{"start": "192.0.2.10", "end": "192.0.2.20"}],
        dns_nameservers=["198.51.100.53"],
        host_routes=[{"destination": "203.0.113.0/24", "nexthop": "192.0.2.9"}],
    )
    assert made["allocation_pools"] == [{"start": "192.0.2.10", "end": "192.0.2.20"}]
    assert (made["enable_dhcp"], made["gateway_ip"]) == (False, "192.0.2.254")
    assert made["host_routes"] == [{"destination": "203.0.113.0/24", "nexthop": "192.0.2.9"}]
    assert admin.get(f"/subnets/{made['id']}")["subnet"] == made
    for field in ("allocation_pools", "dns_nameservers", "host_routes", "service_types", "tags"):
        assert isinstance(made[field], list)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cidr": "10.0.0.0"}, "cidr"),
        ({"cidr": None}, "cidr is missing"),
        ({"ip_version": 6}, "does not fit ip_version 6"),
        ({"ip_version": "four"}, "ip_version 'four'"),
        ({"network_id": "net15"}, "network_id 'net15' is not a valid UUID"),
        ({"gateway_ip": ""}, "null would mean no gateway"),
        ({"gateway_ip": "192.0.2.255"}, "network or broadcast"),
        ({"allocation_pools": [{"start": "192.0.2.9"}]}, "missing required field `end`"),
        ({"allocation_pools": [{"start": "192.0.2.9", "end": "192.0.2.8"}]}, "ends before"),
        ({"dns_nameservers": [f"192.0.2.{n}" for n in range(6)]}, "at most 5"),
        ({"ipv6_ra_mode": "slaac"}, "ip_version is 4"),
    ],
)
def test_a_wrong_field_is_400_and_named(
    admin: Client, network: str, more: dict[str, Any], words: str
) -> None:
    wanted = {"network_id": network, "cidr": "192.0.2.0/24", "ip_version": 4, **more}
    _, message = admin.refused("POST", "/subnets", 400, {"subnet": wanted})
    assert words in message
    assert admin.get("/subnets")["subnets"] == []


def test_ip_version_must_be_said(admin: Client, network: str) -> None:
    wanted = {"subnet": {"network_id": network, "cidr": "192.0.2.0/24"}}
    assert "ip_version is missing" in admin.refused("POST", "/subnets", 400, wanted)[1]


def test_subnets_of_one_network_do_not_overlap(admin: Client, network: str) -> None:
    first = admin.subnet(network)
    wanted = {"network_id": network, "cidr": "192.0.2.128/25", "ip_version": 4}
    kind, message = admin.refused("POST", "/subnets", 400, {"subnet": wanted})
    assert (kind, first["id"] in message) == ("InvalidInput", True)
    admin.subnet(admin.network(16)["id"])


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        (
            {"allocation_pools": [{"start": "192.0.2.1", "end": "192.0.2.9"}]},
            "GatewayConflictWithAllocationPools",
        ),
        (
            {
                "allocation_pools": [
                    {"start": "192.0.2.5", "end": "192.0.2.9"},
                    {"start": "192.0.2.9", "end": "192.0.2.10"},
                ]
            },
            "OverlappingAllocationPools",
        ),
    ],
)
def test_pools_in_conflict_are_409(
    admin: Client, network: str, more: dict[str, Any], kind: str
) -> None:
    wanted = {"network_id": network, "cidr": "192.0.2.0/24", "ip_version": 4, **more}
    assert admin.refused("POST", "/subnets", 409, {"subnet": wanted})[0] == kind


@pytest.mark.parametrize(
    "more", [{"subnetpool_id": "x"}, {"segment_id": "x"}, {"use_default_subnetpool": True}]
)
def test_what_is_not_offered_is_501_by_name(
    admin: Client, network: str, more: dict[str, Any]
) -> None:
    wanted = {"network_id": network, "cidr": "192.0.2.0/24", "ip_version": 4, **more}
    assert next(iter(more)) in admin.refused("POST", "/subnets", 501, {"subnet": wanted})[1]


def test_a_subnet_is_changed(admin: Client, network: str) -> None:
    path = f"/subnets/{admin.subnet(network)['id']}"
    changes = {
        "name": "new",
        "gateway_ip": None,
        "allocation_pools": [{"start": "192.0.2.100", "end": "192.0.2.110"}],
        "dns_nameservers": ["198.51.100.1"],
        "host_routes": [],
        "enable_dhcp": False,
    }
    changed = admin.put(path, {"subnet": changes})
    assert {name: changed[name] for name in changes} == changes
    wrong = {"subnet": {"gateway_ip": "192.0.2.105"}}
    assert admin.refused("PUT", path, 409, wrong)[0] == "GatewayConflictWithAllocationPools"
    assert "cidr" in admin.refused("PUT", path, 400, {"subnet": {"cidr": "10.0.0.0/8"}})[1]


def test_only_a_networks_owner_gives_it_subnets(one: World, admin: Client) -> None:
    network = admin.network(15, shared=True)["id"]
    blue = one.client("member", "blue")
    wanted = {"subnet": {"network_id": network, "cidr": "192.0.2.0/24", "ip_version": 4}}
    assert blue.refused("POST", "/subnets", 403, wanted)[0] == "PolicyNotAuthorized"
    subnet = admin.subnet(network)
    assert [one["id"] for one in blue.get("/subnets")["subnets"]] == [subnet["id"]]
    assert blue.refused("DELETE", f"/subnets/{subnet['id']}", 403)[0] == "PolicyNotAuthorized"


def test_a_network_that_is_not_there_is_404(admin: Client) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    wanted = {"subnet": {"network_id": nowhere, "cidr": "192.0.2.0/24", "ip_version": 4}}
    assert admin.refused("POST", "/subnets", 404, wanted)[0] == "NetworkNotFound"
    assert admin.refused("GET", f"/subnets/{nowhere}", 404)[0] == "SubnetNotFound"


def test_how_many_addresses_are_taken(admin: Client, network: str) -> None:
    admin.subnet(network, "192.0.2.0/29")
    admin.subnet(network, "2001:db8::/64", ip_version=6)
    admin.port(network)
    (shown,) = admin.get("/network-ip-availabilities")["network_ip_availabilities"]
    paged = admin.get("/network-ip-availabilities", limit=1)
    assert paged["network_ip_availabilities"] == [shown]
    after = admin.get("/network-ip-availabilities", marker=network)
    assert after["network_ip_availabilities"] == []
    refused = admin.refused("GET", "/network-ip-availabilities", 400, marker="none")
    assert "marker 'none'" in refused[1]
    assert (shown["network_id"], shown["used_ips"]) == (network, 2)
    four = admin.get(f"/network-ip-availabilities/{network}", ip_version=4)
    assert four["network_ip_availability"]["total_ips"] == 5


def test_what_guests_make_of_a_subnet_is_told_to_their_hosts(
    one: World, admin: Client, network: str
) -> None:
    port = admin.port(network, **{"binding:vnic_type": "direct"})
    one.hold(port["id"])
    rung: list[str] = []
    one.site.bells.listen(HOST_ID, lambda: rung.append("h1"))
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}
    plain = admin.post("/subnets", {"subnet": six})
    admin.delete(f"/subnets/{plain['id']}")
    assert rung == []
    made = admin.post("/subnets", {"subnet": {**six, "ipv6_address_mode": "slaac"}})
    shown = admin.get(f"/ports/{port['id']}")["port"]["fixed_ips"]
    assert ([fixed["subnet_id"] for fixed in shown], rung) == ([made["id"]], ["h1"])
    admin.delete(f"/subnets/{made['id']}")
    assert (admin.get(f"/ports/{port['id']}")["port"]["fixed_ips"], rung) == ([], ["h1"] * 2)

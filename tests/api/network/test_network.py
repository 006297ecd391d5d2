"""``/v2.0/networks``: made, shown, changed, refused."""

from typing import Any

import pytest

from api.network_site import Client, World

pytestmark = pytest.mark.service
PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


def provider(network: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(network[key] for key in PROVIDER)


def body(kind: object = "vlan", physical: object = "physnet1", vlan: object = 15) -> Any:
    return {"network": dict(zip(PROVIDER, (kind, physical, vlan), strict=True))}


@pytest.mark.parametrize("vlan", [15, "15"])
def test_a_vlan_id_may_be_text_or_number(admin: Client, vlan: int | str) -> None:
    made = admin.network(vlan, name="net15", mtu="1400")
    assert provider(made) == ("vlan", "physnet1", 15)
    assert (made["mtu"], made["status"], made["project_id"]) == (1400, "ACTIVE", "red")
    assert made["created_at"] == "2026-11-20T21:26:44Z"
    assert admin.get(f"/networks/{made['id']}")["network"] == made


def test_one_segment_is_the_same_as_provider_attributes(admin: Client) -> None:
    segment = dict(zip(PROVIDER, ("vlan", "physnet1", 15), strict=True))
    made = admin.post("/networks", {"network": {"segments": [segment]}})
    assert provider(made) == ("vlan", "physnet1", 15)
    assert "segments" not in made


def test_vlan_ids_are_drawn_from_the_ranges_until_none_is_left(admin: Client) -> None:
    drawn = [admin.post("/networks", body(vlan=None))[PROVIDER[2]] for _ in range(3)]
    assert drawn == [100, 101, 102]
    kind, message = admin.refused("POST", "/networks", 409, body(vlan=None))
    assert kind == "NoNetworkAvailable"
    assert "physnet1:100:102" in message
    assert provider(admin.post("/networks", {"network": {}})) == ("vlan", "physnet2", 7)


def test_a_member_gets_a_network_and_sees_no_vlan(member: Client, admin: Client) -> None:
    made = member.post("/networks", {"network": {"name": "mine"}})
    assert not set(PROVIDER) & set(made)
    assert provider(admin.get(f"/networks/{made['id']}")["network"]) == ("vlan", "physnet1", 100)


def test_the_mtu_is_the_physical_networks(admin: Client) -> None:
    assert admin.post("/networks", body("flat", "physnet2", None))["mtu"] == 1500
    assert admin.network(15, mtu=0)["mtu"] == 1500


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (body(vlan=0), "segmentation_id 0 is not in 1..4094"),
        (body(vlan="4095"), "segmentation_id 4095 is not in 1..4094"),
        (body(vlan="fifteen"), "'fifteen' is not a whole number in 1..4094"),
        (body(physical="physnet9"), "'physnet9' is unknown; there are: physnet1, physnet2"),
        (body(kind=None), "network_type is missing; it is one of flat, vlan"),
        (body(kind="vxlan"), "'vxlan' is not supported"),
        (body(kind="flat"), "must be left out of a flat network"),
        ({"network": {"mtu": 67}}, "mtu 67 is not in 68..1500"),
        ({"network": {"mtu": 1501}}, "mtu 1501 is not in 68..1500"),
        ({"network": {"mtu": "big"}}, "mtu 'big' is not a whole number"),
        ({"network": {"name": "n" * 256}}, "network.name"),
        ({"network": {"name": 5}}, "network.name"),
        ({"network": {"bogus": 1}}, "unknown field `bogus`"),
        ({"network": {"status": "UP"}}, "unknown field `status`"),
        ({"network": {"shared": "perhaps"}}, "shared 'perhaps' is neither true nor false"),
        ({}, "either 'network' or 'networks'"),
        ({"networks": []}, "networks is empty"),
        ({"network": {"segments": [{}], PROVIDER[0]: "vlan"}}, "cannot both be given"),
        ({"network": {"segments": []}}, "segments is empty"),
    ],
)
def test_a_wrong_field_is_400_and_named(admin: Client, wanted: object, words: str) -> None:
    _, message = admin.refused("POST", "/networks", 400, wanted)
    assert words in message
    assert admin.get("/networks")["networks"] == []


def test_a_vlan_id_in_use_names_who_has_it(admin: Client) -> None:
    first = admin.network(15, name="first")
    kind, message = admin.refused("POST", "/networks", 409, body())
    assert kind == "VlanIdInUse"
    assert f"in use by network first ({first['id']})" in message


def test_a_flat_network_is_one_of_a_kind(admin: Client) -> None:
    admin.post("/networks", body("flat", "physnet1", None))
    kind, _ = admin.refused("POST", "/networks", 409, body("flat", "physnet1", None))
    assert kind == "FlatNetworkInUse"


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (body(), "create_network:provider:network_type"),
        ({"network": {"shared": True}}, "create_network:shared"),
        ({"network": {"router:external": True}}, "create_network:router:external"),
        ({"network": {"project_id": "blue"}}, "create_network:project_id"),
    ],
)
def test_what_is_an_admins_to_say_is_403(member: Client, wanted: object, rule: str) -> None:
    kind, message = member.refused("POST", "/networks", 403, wanted)
    assert kind == "PolicyNotAuthorized"
    assert rule in message


def test_a_reader_reads_only(one: World) -> None:
    reader = one.client("reader")
    assert reader.get("/networks")["networks"] == []
    assert reader.refused("POST", "/networks", 403, {"network": {}})[0] == "PolicyNotAuthorized"


def test_another_projects_network_is_not_there_until_it_is_shared(one: World) -> None:
    red, blue = one.client("member"), one.client("member", "blue")
    network = red.post("/networks", {"network": {"name": "n"}})
    path = f"/networks/{network['id']}"
    assert blue.refused("GET", path, 404)[0] == "NetworkNotFound"
    assert blue.refused("PUT", path, 404, {"network": {"name": "x"}})[0] == "NetworkNotFound"
    assert blue.get("/networks")["networks"] == []
    one.client("admin").put(path, {"network": {"shared": True}})
    assert blue.get(path)["network"]["shared"] is True
    assert blue.refused("PUT", path, 403, {"network": {"name": "x"}})[0] == "PolicyNotAuthorized"
    assert blue.refused("DELETE", path, 403)[0] == "PolicyNotAuthorized"
    blue.port(network["id"])
    kind, _ = one.client("admin").refused("PUT", path, 409, {"network": {"shared": False}})
    assert kind == "InvalidSharedSetting"


def test_a_network_is_changed(admin: Client) -> None:
    network = admin.network(15)
    changes = {"name": "new", "admin_state_up": "False", "mtu": "1400", PROVIDER[2]: "16"}
    changed = admin.put(f"/networks/{network['id']}", {"network": changes})
    assert (changed["name"], changed["admin_state_up"], changed["mtu"]) == ("new", False, 1400)
    assert changed[PROVIDER[2]] == 16
    assert changed["revision_number"] == 2
    same = admin.put(f"/networks/{network['id']}", {"network": {PROVIDER[2]: 16}})
    assert same[PROVIDER[2]] == 16


def test_a_vlan_id_that_is_held_cannot_change(one: World, admin: Client) -> None:
    network, other = admin.network(15), admin.network(16)
    change = {"network": {PROVIDER[2]: 16}}
    path = f"/networks/{network['id']}"
    kind, message = admin.refused("PUT", path, 409, change)
    assert (kind, other["id"] in message) == ("VlanIdInUse", True)
    port = admin.port(network["id"], **{"binding:vnic_type": "direct"})
    one.hold(port["id"])
    _, message = admin.refused("PUT", path, 400, {"network": {PROVIDER[2]: 17}})
    assert port["id"] in message


def test_an_mtu_below_ipv6s_least_is_refused_where_there_is_ipv6(admin: Client) -> None:
    network = admin.network(15)
    admin.subnet(network["id"], "2001:db8::/64", ip_version=6)
    path = f"/networks/{network['id']}"
    kind, message = admin.refused("PUT", path, 409, {"network": {"mtu": 1279}})
    assert (kind, "below 1280" in message) == ("NetworkMTUSubnetConflict", True)


def test_a_revision_that_has_passed_is_412(admin: Client) -> None:
    network = admin.network(15)
    path = f"/networks/{network['id']}"
    header = {"If-Match": "revision_number=1"}
    admin.put(path, {"network": {"name": "a"}}, headers=header)
    for method, wanted in (("PUT", {"network": {"name": "b"}}), ("DELETE", None)):
        kind, message = admin.refused(method, path, 412, wanted, headers=header)
        assert kind == "RevisionNumberConstraintFailed"
        assert "revision 1" in message
    assert admin.get(path)["network"]["name"] == "a"
    admin.refused("PUT", path, 400, {"network": {}}, headers={"If-Match": "nonsense"})


def test_a_qos_policy_is_not_found(admin: Client) -> None:
    assert admin.network(15, qos_policy_id=None)["qos_policy_id"] is None
    wanted = {"network": {"qos_policy_id": "00000000-0000-4000-8000-000000000000"}}
    assert admin.refused("POST", "/networks", 404, wanted)[0] == "QosPolicyNotFound"


def test_a_deleted_network_gives_its_vlan_back(admin: Client) -> None:
    admin.delete(f"/networks/{admin.network(15)['id']}")
    admin.network(15)
    assert admin.refused("DELETE", "/networks/none", 404)[0] == "NetworkNotFound"

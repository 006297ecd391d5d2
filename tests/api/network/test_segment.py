"""Networks on several wires: a port is on the one that its host reaches."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from api.network_site import Client, World
from statements import statements

KEYS = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


def wire(
    network: str | None = "physnet1", vlan: int | None = 15, kind: str = "vlan"
) -> dict[str, Any]:
    return dict(zip(KEYS, (kind, network, vlan), strict=True))


BOTH = [wire(), wire("physnet2", 9)]
DIRECT = {"binding:vnic_type": "direct"}


def a_network(admin: Client, *segments: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"network": {"segments": list(segments), **more}}
    made: dict[str, Any] = admin.post("/networks", body)
    return made


@pytest.mark.service
def test_a_port_is_on_the_segment_that_its_host_reaches(each: World) -> None:
    admin = each.client()
    each.another_host("h2", network="physnet2")
    network = a_network(admin, *BOTH)
    assert network["segments"] == BOTH
    assert not set(KEYS) & set(network)
    assert network["mtu"] == 1500
    port = admin.port(network["id"], **DIRECT)
    path = f"/ports/{port['id']}"
    for host, vlan in (("h1", "15"), ("h2", "9"), ("h1", "15")):
        moved = admin.put(path, {"port": {"binding:host_id": host}})
        assert (moved["binding:vif_type"], moved["binding:vif_details"]["vlan"]) == ("hw_veb", vlan)


def test_members_see_no_segments(one: World, admin: Client) -> None:
    network = a_network(admin, *BOTH, shared=True)
    shown = one.client("member").get(f"/networks/{network['id']}")["network"]
    assert not {"segments", *KEYS} & set(shown)


@pytest.mark.parametrize(
    ("segments", "status", "kind", "words"),
    [
        ([wire(), wire()], 400, "SegmentsContainDuplicateEntry", "Duplicate segment entry"),
        ([wire(), wire(vlan=4095)], 400, "InvalidInput", "4095 is not in 1..4094"),
        ([wire(), {}], 400, "InvalidInput", "provider:network_type is missing"),
        ([wire("physnet1", 100), wire("physnet1", 17)], 409, "VlanIdInUse", "VLAN 17"),
        (
            [wire(), wire(None, 7, "vxlan")],
            400,
            "InvalidInput",
            "is not supported; it is one of flat, vlan",
        ),
    ],
)
def test_segments_that_cannot_be_are_refused_whole(
    admin: Client, segments: list[dict[str, Any]], status: int, kind: str, words: str
) -> None:
    admin.network(17)
    found, message = admin.refused("POST", "/networks", status, {"network": {"segments": segments}})
    assert (found, words in message) == (kind, True), message
    assert len(admin.get("/segments")["segments"]) == 1


def test_one_of_several_may_be_drawn(admin: Client) -> None:
    drawn = wire(vlan=None)
    network = a_network(admin, wire(), drawn, drawn)
    assert [one[KEYS[2]] for one in network["segments"]] == [15, 100, 101]


def test_several_segments_have_no_vlan_id_to_change(admin: Client) -> None:
    network = a_network(admin, *BOTH)
    path = f"/networks/{network['id']}"
    kind, message = admin.refused("PUT", path, 400, {"network": {KEYS[2]: 20}})
    assert (kind, "several segments" in message) == ("InvalidInput", True)


@pytest.mark.service
def test_a_segment_comes_and_goes(each: World) -> None:
    admin = each.client()
    each.another_host("h2", network="physnet2")
    network = admin.network(15)
    (first,) = admin.get("/segments", network_id=network["id"])["segments"]
    assert first["name"] is None
    assert admin.get(f"/segments/{first['id']}")["segment"] == first
    body = {
        "network_id": network["id"],
        "network_type": "vlan",
        "physical_network": "physnet2",
        "segmentation_id": "9",
        "name": "second",
    }
    made = admin.post("/segments", {"segment": body})
    assert {**made, "id": ""} == {**body, "id": "", "segmentation_id": 9, "description": None}
    changed = admin.put(f"/segments/{made['id']}", {"segment": {"description": "row 2"}})
    assert (changed["name"], changed["description"]) == ("second", "row 2")
    assert admin.get(f"/networks/{network['id']}")["network"]["segments"] == BOTH
    port = admin.port(network["id"], **DIRECT, **{"binding:host_id": "h2"})
    assert port["binding:vif_details"]["vlan"] == "9"
    kind, message = admin.refused("DELETE", f"/segments/{made['id']}", 409)
    assert (kind, port["id"] in message) == ("SegmentInUse", True)
    admin.put(f"/ports/{port['id']}", {"port": {"binding:host_id": ""}})
    admin.delete(f"/segments/{made['id']}")
    kind, message = admin.refused("DELETE", f"/segments/{first['id']}", 409)
    assert (kind, "has no other" in message) == ("SegmentInUse", True)
    assert admin.refused("GET", f"/segments/{made['id']}", 404)[0] == "SegmentNotFound"


@pytest.mark.parametrize(
    ("change", "status", "kind", "words"),
    [
        ({"network_id": "here"}, 400, "HTTPBadRequest", "network_id 'here' is not a valid UUID"),
        (
            {"network_type": "geneve"},
            400,
            "InvalidInput",
            "is not supported; it is one of flat, vlan",
        ),
        ({"segmentation_id": 15}, 409, "VlanIdInUse", "VLAN 15"),
        ({"segmentation_id": "x"}, 400, "InvalidInput", "segmentation_id 'x'"),
        ({"hosts": []}, 400, "HTTPBadRequest", "hosts"),
    ],
)
def test_a_segment_that_cannot_be_is_refused(
    admin: Client, change: dict[str, Any], status: int, kind: str, words: str
) -> None:
    body = {
        "network_id": admin.network(15)["id"],
        "network_type": "vlan",
        "physical_network": "physnet1",
        **change,
    }
    found, message = admin.refused("POST", "/segments", status, {"segment": body})
    assert (found, words in message) == (kind, True), message
    assert len(admin.get("/segments")["segments"]) == 1


def test_a_segment_that_carries_less_than_its_network_is_refused(one: World) -> None:
    admin = one.client()
    ml2 = replace(one.site.config.ml2, physical_network_mtus={"physnet1": 1400})
    one.site.config = replace(one.site.config, ml2=ml2)
    network = admin.post("/networks", {"network": wire("physnet2", 9)})
    body = {"network_id": network["id"], "network_type": "flat", "physical_network": "physnet1"}
    kind, message = admin.refused("POST", "/segments", 400, {"segment": body})
    assert (kind, "physnet1 carries 1400 bytes" in message) == ("InvalidInput", True)
    admin.put(f"/networks/{network['id']}", {"network": {"mtu": 1400}})
    assert admin.post("/segments", {"segment": body})["network_type"] == "flat"
    _, message = admin.refused("PUT", f"/networks/{network['id']}", 400, {"network": {"mtu": 1500}})
    assert "mtu 1500 is not in 68..1400" in message


def test_segments_are_admins_to_see(one: World) -> None:
    assert one.client("member").refused("GET", "/segments", 403)[0] == "PolicyNotAuthorized"
    kind, message = one.client("member").refused("DELETE", "/segments/x", 403)
    assert (kind, "delete_segment" in message) == ("PolicyNotAuthorized", True)


def test_one_segment_is_read_with_its_network_alone(one: World, admin: Client) -> None:
    for vlan in (15, 16):
        admin.network(vlan)
    shown = admin.get("/segments")["segments"]
    with statements() as said:
        found = admin.get(f"/segments/{shown[0]['id']}")["segment"]
    assert found == shown[0]
    others = [one["network_id"] for one in shown if one["network_id"] != found["network_id"]]
    assert others
    assert not [one for one in said if any(other in repr(one.values) for other in others)]

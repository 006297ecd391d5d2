"""What clients ask in passing, and what is not there."""

from datetime import timedelta

import pytest

from api.network_site import Client, World
from lanekeeper.api.network import agent, network, port_view, security_group, subnet
from lanekeeper.api.network.face import FACE

pytestmark = pytest.mark.service


def test_versions_need_no_token(one: World) -> None:
    for path in ("/network", "/network/"):
        (version,) = one.http.get(path).json()["versions"]
        assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
        assert version["links"][0]["href"] == "http://testserver/network/v2.0/"


def test_without_a_token_nothing_is_told(one: World) -> None:
    reply = one.http.get("/network/v2.0/networks")
    assert reply.status_code == 401
    assert reply.json()["NeutronError"]["type"] == "HTTPUnauthorized"


def test_unknown_paths_and_methods_wear_the_envelope(admin: Client) -> None:
    assert admin.refused("GET", "/nothing", 404)[0] == "HTTPNotFound"
    assert admin.refused("PATCH", "/networks", 405)[0] == "HTTPMethodNotAllowed"


def test_a_host_is_a_nic_switch_agent(one: World, admin: Client) -> None:
    (shown,) = admin.get("/agents", agent_type="NIC Switch agent", host="h1")["agents"]
    assert (shown["alive"], shown["admin_state_up"]) == (True, True)
    assert shown["configurations"]["device_mappings"] == {"physnet1": ["ens1f0"]}
    assert shown["heartbeat_timestamp"] == "2026-11-20 21:26:44.000000"
    assert admin.get(f"/agents/{shown['id']}")["agent"] == shown
    one.host_is_heard(ago=timedelta(seconds=76))
    assert admin.get(f"/agents/{shown['id']}")["agent"]["alive"] is False
    assert one.client("member").get("/agents")["agents"] == []
    path = f"/agents/{shown['id']}"
    assert "compute service set" in admin.refused("PUT", path, 501, {"agent": {}})[1]
    assert admin.refused("GET", "/agents/nobody", 404)[0] == "AgentNotFound"


def test_only_what_is_there_is_announced(admin: Client) -> None:
    announced = {one["alias"] for one in admin.get("/extensions")["extensions"]}
    assert {"agent", "binding", "provider", "port-security", "standard-attr-tag"} <= announced
    assert not {"router", "trunk", "segment"} & announced
    assert admin.get("/extensions/provider")["extension"]["alias"] == "provider"
    missing = admin.refused("GET", "/extensions/tag-creation", 404)
    assert missing[0] == "ExtensionNotFound"
    assert "Availability Zone" in {one["name"] for one in admin.get("/extensions")["extensions"]}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/floatingips?port_id=x", "floatingips"),
        ("/routers", "routers"),
        ("/trunks", "trunks"),
        ("/subnetpools", "subnetpools"),
        ("/address-scopes", "address_scopes"),
        ("/address-groups", "address_groups"),
        ("/flavors", "flavors"),
        ("/metering/metering-labels", "metering_labels"),
    ],
)
def test_what_is_not_ours_is_an_empty_list_and_a_named_refusal(
    admin: Client, path: str, key: str
) -> None:
    assert admin.get(path) == {key: []}
    bare = path.partition("?")[0]
    assert "not offered" in admin.refused("POST", bare, 501, {})[1]
    assert admin.refused("GET", f"{bare}/some", 404)[0].endswith("NotFound")
    assert admin.refused("DELETE", f"{bare}/some", 404)[0].endswith("NotFound")


def test_there_is_one_availability_zone(one: World) -> None:
    zone = {"name": "nova", "resource": "network", "state": "available"}
    assert one.client("reader").get("/availability_zones") == {"availability_zones": [zone]}


def test_every_attribute_that_is_shown_can_be_filtered_by(one: World, admin: Client) -> None:
    made = admin.network(15)
    group = admin.get("/security-groups")["security_groups"][0]
    for kind, view in (
        (network.KIND, made),
        (subnet.KIND, admin.subnet(made["id"])),
        (security_group.KIND, group),
        (security_group.RULE_KIND, group["security_group_rules"][0]),
        (agent.KIND, admin.get("/agents")["agents"][0]),
    ):
        assert kind.attributes == set(view)
    assert set(admin.port(made["id"])) == port_view.ATTRIBUTES


def test_every_operation_names_its_rule() -> None:
    open_to_all = {row.path for row in FACE.rows if row.policy is None}
    assert open_to_all == {"/", "/v2.0"}


def test_a_topology_that_would_need_a_router_is_refused(admin: Client) -> None:
    _, message = admin.refused("GET", "/auto-allocated-topology/red", 501)
    assert "would need a router" in message

"""Security groups: stored, shown, refused."""

from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from api.network_site import Client, World

pytestmark = pytest.mark.service
GROUPS, RULES = "/security-groups", "/security-group-rules"


def test_a_projects_default_group_is_there_from_the_first_look(one: World) -> None:
    (group,) = one.client("member").get(GROUPS)["security_groups"]
    assert (group["name"], group["project_id"]) == ("default", "red")
    told = {(rule["direction"], rule["ethertype"]) for rule in group["security_group_rules"]}
    assert told == {(d, e) for d in ("ingress", "egress") for e in ("IPv4", "IPv6")}
    (again,) = one.client("member").get(GROUPS)["security_groups"]
    assert again == group
    (blue,) = one.client("member", "blue").get(GROUPS)["security_groups"]
    assert blue["id"] != group["id"]


def test_a_group_gets_rules_and_loses_them(member: Client) -> None:
    group = member.post(GROUPS, {"security_group": {"name": "web", "description": "d"}})
    assert len(group["security_group_rules"]) == 2
    body: dict[str, Any] = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": "80",
        "port_range_max": 80,
        "remote_ip_prefix": "192.0.2.0/24",
    }
    rule = member.post(RULES, {"security_group_rule": body})
    assert rule["port_range_min"] == 80
    assert member.get(f"{RULES}/{rule['id']}")["security_group_rule"] == rule
    mine = member.get(RULES, security_group_id=group["id"], direction="ingress")
    assert mine["security_group_rules"] == [rule]
    kind, message = member.refused("POST", RULES, 409, {"security_group_rule": body})
    assert (kind, rule["id"] in message) == ("SecurityGroupRuleExists", True)
    wrong = {"security_group_rule": {**body, "direction": "up"}}
    assert "direction 'up'" in member.refused("POST", RULES, 400, wrong)[1]
    member.delete(f"{RULES}/{rule['id']}")
    assert member.refused("GET", f"{RULES}/{rule['id']}", 404)[0] == "SecurityGroupRuleNotFound"
    member.delete(f"{GROUPS}/{group['id']}")


def test_a_group_is_changed(member: Client) -> None:
    group = member.post(GROUPS, {"security_group": {"name": "web"}})
    path = f"{GROUPS}/{group['id']}"
    changed = member.put(path, {"security_group": {"name": "db", "stateful": "False"}})
    assert (changed["name"], changed["stateful"]) == ("db", False)
    header = {"If-Match": "revision_number=1"}
    member.refused("PUT", path, 412, {"security_group": {"name": "x"}}, headers=header)


def test_the_default_group_stays_what_it_is(member: Client) -> None:
    (group,) = member.get(GROUPS)["security_groups"]
    path = f"{GROUPS}/{group['id']}"
    renamed = {"security_group": {"name": "x"}}
    assert member.refused("PUT", path, 409, renamed)[0] == "SecurityGroupCannotUpdateDefault"
    assert member.refused("DELETE", path, 409)[0] == "SecurityGroupCannotRemoveDefault"
    second = {"security_group": {"name": "default"}}
    kind, _ = member.refused("POST", GROUPS, 409, second)
    assert kind == "SecurityGroupDefaultAlreadyExists"


def test_a_group_on_a_port_stays(one: World, admin: Client, member: Client) -> None:
    network = admin.network(15)["id"]
    group = member.post(GROUPS, {"security_group": {"name": "web"}})
    port = member.port(network, security_groups=[group["id"]])
    kind, message = member.refused("DELETE", f"{GROUPS}/{group['id']}", 409)
    assert (kind, port["id"] in message) == ("SecurityGroupInUse", True)
    blue = one.client("member", "blue")
    assert blue.refused("GET", f"{GROUPS}/{group['id']}", 404)[0] == "SecurityGroupNotFound"


# Nothing filters the packets of a VF --------------------------------------------------------------


@pytest.fixture
def web(member: Client) -> str:
    return str(member.post(GROUPS, {"security_group": {"name": "web"}})["id"])


@pytest.mark.parametrize("vnic_type", ["direct", "direct-physical", "macvtap"])
def test_a_group_that_nobody_would_enforce_is_refused(
    admin: Client, web: str, vnic_type: str
) -> None:
    network = admin.network()["id"]
    body = {"network_id": network, "binding:vnic_type": vnic_type, "security_groups": [web]}
    kind, message = admin.refused("POST", "/ports", 400, {"port": body})
    assert kind == "lanekeeper.port.unfiltered"
    assert f"security group {web} would not be enforced" in message
    assert "leave the group out" in message
    assert admin.get("/ports")["ports"] == []


def test_the_default_group_and_what_is_filtered_are_taken(admin: Client, web: str) -> None:
    network = admin.network()["id"]
    (default,) = admin.get(GROUPS, name="default", project_id="red")["security_groups"]
    vf = admin.port(network, **{"binding:vnic_type": "direct", "security_groups": [default["id"]]})
    assert vf["security_groups"] == [default["id"]]
    assert admin.port(network, security_groups=[web])["security_groups"] == [web]


def test_no_update_brings_a_port_where_its_groups_are_void(admin: Client, web: str) -> None:
    network = admin.network()["id"]
    vf = admin.port(network, **{"binding:vnic_type": "direct"})
    normal = admin.port(network, security_groups=[web])
    for port, change in (
        (vf, {"security_groups": [web]}),
        (normal, {"binding:vnic_type": "direct"}),
    ):
        path = f"/ports/{port['id']}"
        kind, _ = admin.refused("PUT", path, 400, {"port": change})
        assert kind == "lanekeeper.port.unfiltered"
        assert admin.get(path)["port"] == port
    changed = {"binding:vnic_type": "direct", "security_groups": []}
    assert admin.put(f"/ports/{normal['id']}", {"port": changed})["security_groups"] == []


@pytest.mark.parametrize(("said", "told"), [("warn", 1), ("ignore", 0)])
def test_an_operator_may_have_them_taken_as_neutron_does(
    one: World, admin: Client, web: str, said: str, told: int
) -> None:
    own = structs.replace(one.site.config.lanekeeper, vf_security_groups=said)
    one.site.config = structs.replace(one.site.config, lanekeeper=own)
    network = admin.network()["id"]
    with capture_logs() as lines:
        made = admin.port(network, **{"binding:vnic_type": "direct", "security_groups": [web]})
    assert made["security_groups"] == [web]
    assert made["binding:vif_details"].get("port_filter") in (None, False)
    assert [line["event"] for line in lines].count("port.unfiltered") == told

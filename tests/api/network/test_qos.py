"""QoS policies: made, ruled, put on ports and networks, refused."""

from typing import Any

import pytest

from api.network_site import Client, World

pytestmark = pytest.mark.service
POLICIES = "/qos/policies"


def policy(admin: Client, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = admin.post(POLICIES, {"policy": {"name": "slow", **fields}})
    return made


def limit(admin: Client, policy_id: str, **fields: Any) -> dict[str, Any]:
    path = f"{POLICIES}/{policy_id}/bandwidth_limit_rules"
    made: dict[str, Any] = admin.post(
        path, {"bandwidth_limit_rule": {"max_kbps": "5000", **fields}}
    )
    return made


def test_a_policy_with_its_rules(each: World) -> None:
    admin = each.client("admin")
    made = policy(admin, description="d", shared="true")
    assert (made["shared"], made["is_default"], made["rules"]) == (True, False, [])
    rule = limit(admin, made["id"], max_burst_kbps=4000)
    assert rule == {
        "id": rule["id"],
        "max_kbps": 5000,
        "max_burst_kbps": 4000,
        "direction": "egress",
    }
    many = f"{POLICIES}/{made['id']}/bandwidth_limit_rules"
    assert admin.get(many)["bandwidth_limit_rules"] == [rule]
    (told,) = each.client("member", "blue").get(f"{POLICIES}/{made['id']}")["policy"]["rules"]
    assert told == {**rule, "type": "bandwidth_limit", "qos_policy_id": made["id"]}
    changed = admin.put(f"{many}/{rule['id']}", {"bandwidth_limit_rule": {"max_kbps": 9000}})
    assert (changed["max_kbps"], changed["max_burst_kbps"]) == (9000, 4000)
    alias = f"/qos/alias_bandwidth_limit_rules/{rule['id']}"
    assert admin.get(alias)["bandwidth_limit_rule"]["max_kbps"] == 9000
    admin.delete(alias)
    assert admin.refused("GET", f"{many}/{rule['id']}", 404)[0] == "QosRuleNotFound"
    admin.delete(f"{POLICIES}/{made['id']}")
    assert admin.refused("GET", f"{POLICIES}/{made['id']}", 404)[0] == "QosPolicyNotFound"


def test_rules_that_do_not_go_together(admin: Client) -> None:
    made = policy(admin)
    limit(admin, made["id"])
    path = f"{POLICIES}/{made['id']}"
    second = {"bandwidth_limit_rule": {"max_kbps": 1}}
    assert admin.refused("POST", f"{path}/bandwidth_limit_rules", 409, second)[0] == (
        "QoSRulesConflict"
    )
    more = {"minimum_bandwidth_rule": {"min_kbps": 6000}}
    assert admin.refused("POST", f"{path}/minimum_bandwidth_rules", 409, more)[0] == (
        "QoSRuleParameterConflict"
    )
    for wrong, said in (
        ({"max_kbps": -1}, "max_kbps -1 is not in 0..2147483647"),
        ({"max_kbps": "x"}, "max_kbps 'x' is not a whole number"),
        ({"max_kbps": 1, "direction": "up"}, "direction 'up' is not one of egress, ingress"),
        ({}, "needs max_kbps"),
    ):
        body = {"bandwidth_limit_rule": wrong}
        assert said in admin.refused("POST", f"{path}/bandwidth_limit_rules", 400, body)[1]
    mark = admin.refused("POST", f"{path}/dscp_marking_rules", 501, {})
    assert "nothing stands between" in mark[1]


def test_only_admins_make_policies_and_a_private_one_is_nobody_elses(
    one: World, admin: Client, member: Client
) -> None:
    member.refused("POST", POLICIES, 403, {"policy": {"name": "mine"}})
    theirs = policy(admin, project_id="blue")
    assert member.refused("GET", f"{POLICIES}/{theirs['id']}", 404)[0] == "QosPolicyNotFound"
    network = admin.network(15)["id"]
    body = {"port": {"network_id": network, "qos_policy_id": theirs["id"]}}
    assert member.refused("POST", "/ports", 404, body)[0] == "QosPolicyNotFound"
    assert one.client("member", "blue").get(POLICIES)["policies"][0]["id"] == theirs["id"]


def test_a_policy_on_a_port_and_on_its_network(admin: Client) -> None:
    wide, narrow = policy(admin), policy(admin)
    limit(admin, wide["id"])
    network = admin.network(15)["id"]
    admin.put(f"/networks/{network}", {"network": {"qos_policy_id": wide["id"]}})
    port = admin.port(network)
    assert (port["qos_policy_id"], port["qos_network_policy_id"]) == (None, wide["id"])
    path = f"/ports/{port['id']}"
    assert (
        admin.put(path, {"port": {"qos_policy_id": narrow["id"]}})["qos_policy_id"]
        == (narrow["id"])
    )
    assert admin.get("/ports", qos_policy_id=narrow["id"])["ports"][0]["id"] == port["id"]
    for held, by in ((wide, network), (narrow, port["id"])):
        kind, message = admin.refused("DELETE", f"{POLICIES}/{held['id']}", 409)
        assert (kind, by in message) == ("QosPolicyInUse", True)
    assert admin.put(path, {"port": {"qos_policy_id": None}})["qos_policy_id"] is None
    admin.delete(f"{POLICIES}/{narrow['id']}")
    gone = {"port": {"qos_policy_id": narrow["id"]}}
    assert admin.refused("PUT", path, 404, gone)[0] == "QosPolicyNotFound"


def test_what_a_vf_cannot_keep_is_refused_wherever_it_is_asked(admin: Client) -> None:
    made = policy(admin)
    network = admin.network(15)["id"]
    port = admin.port(network, **{"binding:vnic_type": "direct", "qos_policy_id": made["id"]})
    path = f"{POLICIES}/{made['id']}/bandwidth_limit_rules"
    ingress = {"bandwidth_limit_rule": {"max_kbps": 1, "direction": "ingress"}}
    kind, message = admin.refused("POST", path, 409, ingress)
    assert (kind, port["id"] in message) == ("QosRuleNotSupported", True)
    other = policy(admin)
    limit(admin, other["id"], direction="ingress")
    asked = {"qos_policy_id": other["id"]}
    for method, where, body in (
        ("PUT", f"/ports/{port['id']}", {"port": asked}),
        ("PUT", f"/networks/{network}", {"network": asked}),
        (
            "POST",
            "/ports",
            {"port": {"network_id": network, "binding:vnic_type": "direct", **asked}},
        ),
    ):
        if where.startswith("/networks"):
            admin.put(f"/ports/{port['id']}", {"port": {"qos_policy_id": None}})
        assert admin.refused(method, where, 409, body)[0] == "QosRuleNotSupported"
    assert admin.get(f"/networks/{network}")["network"]["qos_policy_id"] is None


def test_a_projects_default_policy_is_on_its_new_networks(each: World) -> None:
    admin = each.client("admin")
    made = policy(admin, is_default=True)
    second = {"policy": {"name": "x", "is_default": True}}
    assert admin.refused("POST", POLICIES, 409, second)[0] == "QoSPolicyDefaultAlreadyExists"
    other = policy(admin)
    change = {"policy": {"is_default": True}}
    kind, _ = admin.refused("PUT", f"{POLICIES}/{other['id']}", 409, change)
    assert kind == "QoSPolicyDefaultAlreadyExists"
    assert admin.network(15)["qos_policy_id"] == made["id"]
    none = admin.post("/networks", {"network": {"name": "n", "qos_policy_id": None}})
    assert none["qos_policy_id"] is None


def test_types_of_rules_with_what_is_kept(member: Client) -> None:
    kinds = member.get("/qos/rule-types")["rule_types"]
    assert kinds == [{"type": "bandwidth_limit"}, {"type": "minimum_bandwidth"}]
    (driver,) = member.get("/qos/rule-types/bandwidth_limit")["rule_type"]["drivers"]
    directions = driver["supported_parameters"][-1]
    assert directions["parameter_values"] == ["egress"]
    assert member.refused("GET", "/qos/rule-types/dscp", 404)[0] == "QosRuleTypeNotFound"

"""What projects may have of Network: read, set, and held where things are made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from api.network_site import Client, World


def limit(admin: Client, project: str = "red", **limits: Any) -> dict[str, Any]:
    told: dict[str, Any] = admin.put(f"/quotas/{project}", {"quota": limits})
    return told


def test_nothing_is_limited_until_it_is_said(one: World, admin: Client) -> None:
    admin.network(15)
    assert set(admin.get("/quotas/red")["quota"].values()) == {-1}
    assert admin.get("/quotas/red/default") == admin.get("/quotas/red")
    details = admin.get("/quotas/red/details")["quota"]
    assert details["network"] == {"limit": -1, "used": 1, "reserved": 0}
    assert details["router"] == {"limit": -1, "used": 0, "reserved": 0}
    assert admin.get("/quotas/red/details.json")["quota"] == details
    assert admin.get("/quotas/tenant") == {"tenant": {"tenant_id": "red"}}
    assert admin.get("/quotas/project") == {"project": {"project_id": "red"}}
    assert admin.get("/quotas") == {"quotas": []}
    assert one.client("member", "blue").refused("GET", "/quotas/red", 404)[0] == "QuotaNotFound"


@pytest.mark.service
def test_what_goes_beyond_a_limit_is_refused_and_leaves_nothing(each: World) -> None:
    admin, red = each.client(), each.client("member")
    network = red.post("/networks", {"network": {}})["id"]
    subnet = red.subnet(network)["id"]
    group = red.post("/security-groups", {"security_group": {"name": "g"}})["id"]
    groups = len(red.get("/security-groups")["security_groups"])
    rules = len(red.get("/security-group-rules")["security_group_rules"])
    port = red.port(network)["id"]
    limit(
        admin,
        network=1,
        subnet="1",
        port=1,
        rbac_policy=0,
        security_group=groups,
        security_group_rule=rules,
    )
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    share = {"object_type": "network", "action": "access_as_shared", "target_tenant": "blue"}
    for path, body, resource in (
        ("/networks", {"network": {}}, "network"),
        ("/subnets", {"subnet": {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}},
         "subnet"),
        ("/ports", {"port": {"network_id": network}}, "port"),
        ("/security-groups", {"security_group": {"name": "h"}}, "security_group"),
        ("/security-group-rules", {"security_group_rule": rule}, "security_group_rule"),
        ("/rbac-policies", {"rbac_policy": {**share, "object_id": network}}, "rbac_policy"),
    ):  # fmt: skip
        kind, message = red.refused("POST", path, 409, body)
        assert kind == "OverQuota"
        assert f"Quota exceeded for resources: ['{resource}" in message
    used = {name: it["used"] for name, it in admin.get("/quotas/red/details")["quota"].items()}
    assert [used[name] for name in ("network", "subnet", "port", "rbac_policy")] == [1, 1, 1, 0]
    assert (used["security_group"], used["security_group_rule"]) == (groups, rules)
    each.client("member", "blue").post("/networks", {"network": {}})  # is held to nothing
    red.delete(f"/ports/{port}")
    red.delete(f"/subnets/{subnet}")
    assert red.port(network)["id"] != port


@pytest.mark.service
def test_rivals_never_go_beyond_a_limit(each: World) -> None:
    admin = each.client()
    network = admin.network(15)["id"]
    limit(admin, port=3)
    body = {"port": {"network_id": network}}

    def make(_: int) -> int:
        reply = each.http.post("/network/v2.0/ports", json=body, headers=admin.headers)
        return int(reply.status_code)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(make, range(6))) == [201, 201, 201, 409, 409, 409]
    kind, _ = admin.refused("POST", "/ports", 409, {"ports": [body["port"]] * 2})
    assert kind == "OverQuota"


def test_a_limit_is_changed_listed_and_taken_away(one: World, admin: Client) -> None:
    changed = limit(admin, port=5, network="7")
    assert (changed["port"], changed["network"], changed["subnet"]) == (5, 7, -1)
    assert limit(admin, port=6)["network"] == 7
    (listed,) = admin.get("/quotas")["quotas"]
    assert (listed["project_id"], listed["tenant_id"], listed["port"]) == ("red", "red", 6)
    assert one.client("member").get("/quotas/red")["quota"]["port"] == 6
    assert admin.get("/quotas/red/default")["quota"]["port"] == -1
    admin.delete("/quotas/red")
    assert admin.get("/quotas/red")["quota"]["port"] == -1
    assert admin.refused("DELETE", "/quotas/red", 404)[0] == "ProjectQuotaNotFound"


def test_what_is_configured_holds_for_projects_without_their_own(one: World, admin: Client) -> None:
    quotas = replace(one.site.config.network_quotas, network=1)
    one.site.config = replace(one.site.config, network_quotas=quotas)
    admin.network(15)
    kind, message = admin.refused("POST", "/networks", 409, {"network": {}})
    assert (kind, "may have 1" in message) == ("OverQuota", True)
    assert admin.get("/quotas/red/default")["quota"]["network"] == 1
    limit(admin, network=-1)
    admin.network(16)


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"port": -2}, 400, "quota port -2 is not in -1..2147483647"),
        ({"port": 2**31}, 400, "is not in -1..2147483647"),
        ({"port": "many"}, 400, "port 'many' is not a whole number"),
        ({"ports": 5}, 400, "ports"),
        ({"network": 0}, 400, "Quota limit 0 for network must be greater than or equal to already"),
        ({"router": 5}, 501, "a quota of router would hold nobody"),
        ({"force": "maybe"}, 400, "force 'maybe'"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(
    admin: Client, wanted: dict[str, Any], status: int, words: str
) -> None:
    admin.network(15)
    _, message = admin.refused("PUT", "/quotas/red", status, {"quota": {"subnet": 4, **wanted}})
    assert words in message
    assert admin.get("/quotas/red")["quota"]["subnet"] == -1


def test_a_limit_is_set_below_what_is_used_by_force(one: World, admin: Client) -> None:
    admin.network(15)
    assert limit(admin, network=0, router=-1, force=True)["network"] == 0
    kind, message = one.client("member").refused("PUT", "/quotas/red", 403, {"quota": {}})
    assert (kind, "update_quota" in message) == ("PolicyNotAuthorized", True)

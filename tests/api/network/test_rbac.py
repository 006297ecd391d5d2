"""RBAC policies: who sees a network that is another's, and who may use it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.network_site import Client, World


def rbac(network_id: str, target: str = "blue", **more: Any) -> dict[str, Any]:
    values = {
        "object_type": "network",
        "object_id": network_id,
        "action": "access_as_shared",
        "target_tenant": target,
        **more,
    }
    return {"rbac_policy": values}


@pytest.mark.service
def test_a_network_is_shared_with_one_project(each: World) -> None:
    red, blue, green = (each.client("member", name) for name in ("red", "blue", "green"))
    network = red.post("/networks", {"network": {"name": "n"}})
    subnet = red.subnet(network["id"])
    path = f"/networks/{network['id']}"
    made = red.post("/rbac-policies", rbac(network["id"]))
    assert {**made, "id": ""} == {
        "id": "",
        "object_type": "network",
        "object_id": network["id"],
        "action": "access_as_shared",
        "target_tenant": "blue",
        "project_id": "red",
        "tenant_id": "red",
    }
    assert blue.get(path)["network"]["shared"] is True
    assert blue.get(f"/subnets/{subnet['id']}")["subnet"]["shared"] is True
    assert red.get(path)["network"]["shared"] is False
    assert green.refused("GET", path, 404)[0] == "NetworkNotFound"
    assert blue.refused("DELETE", path, 403)[0] == "PolicyNotAuthorized"
    wanted = {"port": {"network_id": network["id"]}}
    assert green.refused("POST", "/ports", 404, wanted)[0] == "NetworkNotFound"
    port = blue.port(network["id"])
    one = f"/rbac-policies/{made['id']}"
    kind, message = red.refused("DELETE", one, 409)
    assert (kind, "ports of project blue" in message) == ("RbacPolicyInUse", True)
    change = {"rbac_policy": {"target_tenant": "green"}}
    assert red.refused("PUT", one, 409, change)[0] == "RbacPolicyInUse"
    assert blue.get(path)["network"]["shared"] is True
    blue.delete(f"/ports/{port['id']}")
    assert red.put(one, change)["target_tenant"] == "green"
    assert green.get(path)["network"]["id"] == network["id"]
    assert blue.refused("GET", path, 404)[0] == "NetworkNotFound"
    red.delete(one)
    assert green.refused("GET", path, 404)[0] == "NetworkNotFound"
    assert red.refused("GET", one, 404)[0] == "RbacPolicyNotFound"


@pytest.mark.service
def test_share_is_a_policy_for_everybody(each: World) -> None:
    admin, blue = each.client(), each.client("member", "blue")
    network = admin.network(15, shared=True)
    (policy,) = admin.get("/rbac-policies")["rbac_policies"]
    assert (policy["object_id"], policy["target_tenant"]) == (network["id"], "*")
    blue.port(network["id"])
    one = f"/rbac-policies/{policy['id']}"
    assert admin.refused("DELETE", one, 409)[0] == "RbacPolicyInUse"
    admin.post("/rbac-policies", rbac(network["id"]))  # blue by name: the other may go
    admin.delete(one)
    assert admin.get(f"/networks/{network['id']}")["network"]["shared"] is False
    assert blue.get(f"/networks/{network['id']}")["network"]["shared"] is True
    admin.put(f"/networks/{network['id']}", {"network": {"shared": True}})
    targets = {one["target_tenant"] for one in admin.get("/rbac-policies")["rbac_policies"]}
    assert targets == {"blue", "*"}


@pytest.mark.parametrize(
    ("change", "status", "kind", "words"),
    [
        ({"object_type": "router"}, 400, "InvalidInput", "'router' is not a valid RBAC object"),
        ({"object_type": "qos_policy"}, 501, "HTTPNotImplemented", "qos policy set --share"),
        ({"action": "access"}, 400, "InvalidInput", "Valid actions: access_as_shared"),
        ({"action": "access_as_external"}, 501, "HTTPNotImplemented", "--external"),
        ({"object_id": "here"}, 400, "HTTPBadRequest", "object_id 'here' is not a valid UUID"),
        ({"target_tenant": ""}, 400, "HTTPBadRequest", "target_tenant is missing"),
        ({"target_tenant": "*"}, 403, "PolicyNotAuthorized", "create_rbac_policy:target_tenant"),
        ({"project_id": "blue"}, 403, "PolicyNotAuthorized", "create_rbac_policy:project_id"),
        ({"bogus": 1}, 400, "HTTPBadRequest", "bogus"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    member: Client, change: dict[str, Any], status: int, kind: str, words: str
) -> None:
    network = member.post("/networks", {"network": {}})
    body = rbac(network["id"], **change)
    found, message = member.refused("POST", "/rbac-policies", status, body)
    assert (found, words in message) == (kind, True), message
    assert member.get("/rbac-policies")["rbac_policies"] == []


def test_a_network_is_shared_once_with_each_and_by_its_owner(one: World) -> None:
    red, blue = one.client("member"), one.client("member", "blue")
    network = red.post("/networks", {"network": {}})["id"]
    red.post("/rbac-policies", rbac(network))
    kind, _ = red.refused("POST", "/rbac-policies", 409, rbac(network))
    assert kind == "DuplicateRbacPolicy"
    kind, message = blue.refused("POST", "/rbac-policies", 400, rbac(network, "green"))
    assert (kind, "do not own" in message) == ("InvalidInput", True)
    assert blue.get("/rbac-policies")["rbac_policies"] == []
    red.delete(f"/networks/{network}")
    assert red.get("/rbac-policies")["rbac_policies"] == []


@pytest.mark.service
def test_no_port_is_left_that_nothing_lets_in(each: World) -> None:
    red, blue = each.client("member"), each.client("member", "blue")
    network = red.post("/networks", {"network": {}})["id"]
    body = {"port": {"network_id": network}}
    for _ in range(5):
        policy = f"/rbac-policies/{red.post('/rbac-policies', rbac(network))['id']}"
        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(
                each.http.post, "/network/v2.0/ports", json=body, headers=blue.headers
            )
            gone = pool.submit(each.http.delete, f"/network/v2.0{policy}", headers=red.headers)
            answers = (made.result().status_code, gone.result().status_code)
        assert answers in {(201, 409), (404, 204)}
        if answers == (201, 409):
            blue.delete(f"/ports/{made.result().json()['port']['id']}")
            red.delete(policy)

"""Limits over HTTP: made, found, changed and deleted, and what is refused."""

from typing import Any

import pytest

from api.identity_site import World

pytestmark = pytest.mark.service

V3 = "/identity/v3"
MANY, OF_PROJECTS = f"{V3}/registered_limits", f"{V3}/limits"


@pytest.fixture
def nova(one: World) -> str:
    (service,) = one.as_admin().get(f"{V3}/services", name="nova")["services"]
    return str(service["id"])


def registered(nova: str, name: str = "servers", **more: Any) -> dict[str, Any]:
    return {"service_id": nova, "resource_name": name, "default_limit": 5, **more}


def of_project(nova: str, project_id: str, name: str = "servers", **more: Any) -> dict[str, Any]:
    return {
        "service_id": nova, "resource_name": name, "resource_limit": 7, "project_id": project_id,
        **more,
    }  # fmt: skip


def test_a_registered_limit_is_made_found_changed_and_deleted(one: World, nova: str) -> None:
    admin = one.as_admin()
    two = [registered(nova, description="d"), registered(nova, "class:CUSTOM_GOLD")]
    made, gold = admin.post(MANY, {"registered_limits": two})["registered_limits"]
    assert {key: made[key] for key in two[0]} == two[0]
    assert (made["region_id"], gold["description"]) == (None, None)
    found = admin.get(MANY, resource_name="servers", service_id=nova)["registered_limits"]
    assert found == [made]
    assert len(admin.get(MANY)["registered_limits"]) == 2
    assert admin.get(MANY, service_id="another")["registered_limits"] == []
    path = f"{MANY}/{made['id']}"
    assert path in made["links"]["self"]
    changes = {"default_limit": -1, "region_id": "RegionOne", "resource_name": "class:VCPU"}
    changed = admin.patch(path, {"registered_limit": changes})["registered_limit"]
    assert changed == made | changes
    assert admin.get(path)["registered_limit"] == changed
    admin.delete(path)
    assert admin.raw("GET", path).status_code == 404
    assert admin.raw("DELETE", path).status_code == 404


def test_a_projects_limit_is_made_found_changed_and_deleted(one: World, nova: str) -> None:
    admin, ann, bob = one.as_admin(), one.member("ann"), one.member("bob")
    admin.post(MANY, {"registered_limits": [registered(nova)]})
    wanted = [of_project(nova, ann.project_id), of_project(nova, bob.project_id)]
    made, other = admin.post(OF_PROJECTS, {"limits": wanted})["limits"]
    assert {key: made[key] for key in wanted[0]} == wanted[0]
    assert (made["domain_id"], made["description"]) == (None, None)
    path = f"{OF_PROJECTS}/{made['id']}"
    changed = admin.patch(path, {"limit": {"resource_limit": 0, "description": "none"}})["limit"]
    assert changed == made | {"resource_limit": 0, "description": "none"}
    assert len(admin.get(OF_PROJECTS)["limits"]) == 2
    assert admin.get(OF_PROJECTS, project_id=bob.project_id)["limits"] == [other]
    assert admin.get(OF_PROJECTS, resource_name="class:VCPU")["limits"] == []
    assert ann.get(path)["limit"] == changed
    assert ann.get(OF_PROJECTS)["limits"] == [changed]
    assert ann.get(OF_PROJECTS, project_id=bob.project_id)["limits"] == []
    assert bob.raw("GET", path).status_code == 403
    admin.delete(path)
    assert admin.raw("PATCH", path, {"limit": {"resource_limit": 1}}).status_code == 404
    admin.delete(f"{V3}/projects/{bob.project_id}")  # a project's limits go with it
    assert admin.get(OF_PROJECTS)["limits"] == []
    assert admin.get(f"{OF_PROJECTS}/model")["model"]["name"] == "flat"


def test_who_is_no_admin_reads_what_is_registered_and_writes_nothing(one: World, nova: str) -> None:
    ann = one.member("ann")
    one.as_admin().post(MANY, {"registered_limits": [registered(nova)]})
    (found,) = ann.get(MANY)["registered_limits"]
    path = f"{MANY}/{found['id']}"
    assert ann.get(path)["registered_limit"] == found
    for method, where, body in (
        ("POST", MANY, {"registered_limits": [registered(nova, "class:VCPU")]}),
        ("PATCH", path, {"registered_limit": {"default_limit": 9}}),
        ("DELETE", path, None),
        ("POST", OF_PROJECTS, {"limits": [of_project(nova, ann.project_id)]}),
    ):
        assert ann.raw(method, where, body).status_code == 403
    assert ann.get(MANY)["registered_limits"] == [found]


def test_what_is_wrong_is_named_and_changes_nothing(one: World, nova: str) -> None:
    admin, ann = one.as_admin(), one.member("ann")
    (glance,) = admin.get(f"{V3}/services", name="glance")["services"]

    def says(status: int, text: str, *answer: Any) -> None:
        got = admin.raw(*answer)
        assert got.status_code == status
        assert text in got.json()["error"]["message"]

    def make(*wanted: dict[str, Any]) -> tuple[str, str, Any]:
        return "POST", MANY, {"registered_limits": list(wanted)}

    def give(*wanted: dict[str, Any]) -> tuple[str, str, Any]:
        return "POST", OF_PROJECTS, {"limits": list(wanted)}

    says(400, "registered_limits", *make())
    says(400, "default_limit", *make(registered(nova, default_limit=-2)))
    says(400, "default_limit", *make(registered(nova, default_limit=2**31)))
    says(400, "glance holds nobody to limits", *make(registered(glance["id"])))
    says(400, "there is no service", *make(registered("mars")))
    says(400, "is nothing that is counted", *make(registered(nova, "cores")))
    says(400, "no [pci] alias has this name", *make(registered(nova, "alias:a2")))
    says(400, "region_id 'Mars'", *make(registered(nova, region_id="Mars")))
    says(403, "no corresponding registered limit", *give(of_project(nova, ann.project_id)))
    assert admin.get(MANY)["registered_limits"] == []
    (made,) = admin.post(MANY, {"registered_limits": [registered(nova)]})["registered_limits"]
    path = f"{MANY}/{made['id']}"
    says(409, "there is one of servers", *make(registered(nova)))
    says(400, "project_id", *give(of_project(nova, ann.project_id) | {"project_id": None}))
    says(404, "Could not find project", *give(of_project(nova, "nobody")))
    says(501, "domain_id", *give(of_project(nova, ann.project_id, domain_id="default")))
    admin.post(OF_PROJECTS, {"limits": [of_project(nova, ann.project_id)]})
    says(409, "there is one of servers", *give(of_project(nova, ann.project_id)))
    says(403, "project limits associated with it", "DELETE", path)
    change = {"registered_limit": {"resource_name": "class:VCPU"}}
    says(403, "project limits associated with it", "PATCH", path, change)
    assert admin.get(path)["registered_limit"] == made

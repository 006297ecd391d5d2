"""Projects, users, roles and who has which."""

from typing import Any

import pytest

from api.identity_site import World

pytestmark = pytest.mark.service

V3 = "/identity/v3"


def test_a_project_is_made_found_changed_and_deleted(one: World) -> None:
    admin = one.as_admin()
    body = {"domain_id": "default", "enabled": True, "name": "red", "description": "d"}
    made = admin.post(f"{V3}/projects", {"project": body})["project"]
    assert {key: made[key] for key in body} == body
    assert admin.raw("GET", f"{V3}/projects/red").status_code == 404
    assert admin.get(f"{V3}/projects", name="red")["projects"] == [made]
    assert admin.get(f"{V3}/projects", name="red", enabled="False")["projects"] == []
    assert admin.get(f"{V3}/projects", domain_id="other")["projects"] == []
    path = f"{V3}/projects/{made['id']}"
    changed = admin.patch(path, {"project": {"name": "blue", "description": None}})["project"]
    assert (changed["name"], changed["description"]) == ("blue", "")
    assert admin.get(path)["project"] == changed
    admin.delete(path)
    assert admin.raw("DELETE", path).status_code == 404


def test_a_user_is_made_found_changed_and_deleted(one: World) -> None:
    admin = one.as_admin()
    body = {"name": "ann", "domain_id": "default", "enabled": True, "email": "a@b.example"}
    made = admin.post(f"{V3}/users", {"user": {**body, "password": "secret"}})["user"]
    assert {key: made[key] for key in body} == body
    assert "password" not in made
    assert admin.get(f"{V3}/users", name="ann")["users"] == [made]
    path = f"{V3}/users/{made['id']}"
    assert admin.patch(path, {"user": {"name": "eve"}})["user"]["name"] == "eve"
    assert admin.get(path)["user"]["name"] == "eve"
    admin.delete(path)
    assert admin.raw("GET", path).status_code == 404


def test_roles_are_given_checked_listed_and_taken_away(one: World) -> None:
    admin = one.as_admin()
    ann = one.member("ann")
    role = admin.post(f"{V3}/roles", {"role": {"name": "auditor"}})["role"]
    many = f"{V3}/projects/{ann.project_id}/users/{ann.user_id}/roles"
    path = f"{many}/{role['id']}"
    assert admin.raw("HEAD", path).status_code == 404
    assert [admin.raw("PUT", path).status_code for _ in range(2)] == [204, 204]
    assert admin.raw("HEAD", path).status_code == 204
    assert {r["name"] for r in admin.get(many)["roles"]} == {"auditor", "member"}
    admin.delete(path)
    assert admin.raw("DELETE", path).status_code == 404
    admin.delete(f"{V3}/roles/{role['id']}")


def test_role_assignments_are_listed_with_names(one: World) -> None:
    admin = one.as_admin()
    ann = one.member("ann")
    found = admin.get(f"{V3}/role_assignments", include_names="True")["role_assignments"]
    domain = {"id": "default", "name": "Default"}
    (hers,) = [one for one in found if one["user"]["name"] == "ann"]
    assert hers["role"]["name"] == "member"
    assert hers["user"] == {"id": ann.user_id, "name": "ann", "domain": domain}
    assert hers["scope"] == {
        "project": {"id": ann.project_id, "name": "ann-project", "domain": domain}
    }
    assert {"system": {"all": True}} in [one["scope"] for one in found]
    query = {"user.id": ann.user_id, "effective": "True", "include_names": "True"}
    implied = ann.get(f"{V3}/role_assignments", **query)["role_assignments"]
    assert {one["role"]["name"] for one in implied} == {"member", "reader"}
    by_scope = admin.get(f"{V3}/role_assignments", **{"scope.project.id": ann.project_id})
    assert [one["user"]["id"] for one in by_scope["role_assignments"]] == [ann.user_id]


def test_a_member_sees_its_own_and_changes_nothing(one: World) -> None:
    ann, bob = one.member("ann"), one.member("bob")
    own = ann.get(f"{V3}/users/{ann.user_id}/projects")["projects"]
    assert [one["id"] for one in own] == [ann.project_id]
    assert ann.get(f"{V3}/auth/projects")["projects"] == own
    assert ann.get(f"{V3}/projects/{ann.project_id}")["project"] == own[0]
    assert ann.get(f"{V3}/users/{ann.user_id}")["user"]["name"] == "ann"
    for method, path, body in (
        ("GET", "/projects", None),
        ("GET", "/users", None),
        ("GET", f"/users/{bob.user_id}", None),
        ("GET", "/users/no-such", None),
        ("GET", f"/projects/{bob.project_id}", None),
        ("GET", f"/users/{bob.user_id}/projects", None),
        ("GET", f"/users/{bob.user_id}/application_credentials", None),
        ("GET", "/role_assignments", None),
        ("POST", "/projects", {"project": {"name": "x"}}),
        ("POST", "/users", {"user": {"name": "x"}}),
        ("POST", "/roles", {"role": {"name": "x"}}),
        ("PATCH", f"/users/{ann.user_id}", {"user": {"enabled": True}}),
        ("DELETE", f"/projects/{ann.project_id}", None),
        ("PUT", f"/projects/{ann.project_id}/users/{ann.user_id}/roles/r", None),
    ):
        reply = ann.raw(method, V3 + path, body)
        assert (path, reply.status_code) == (path, 403)
        assert reply.json()["error"]["title"] == "Forbidden"


REFUSALS: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/projects", {"project": {"name": ""}}, 400, "project.name"),
    ("POST", "/projects", {"project": {"name": "x" * 10_000}}, 400, "project.name"),
    ("POST", "/projects", {"project": {"name": "a\0b"}}, 400, "NUL"),
    ("POST", "/projects", {"project": {"name": "admin"}}, 409, "named 'admin' already"),
    ("POST", "/projects", {"project": {"name": "x", "domain_id": "y"}}, 404, "domain: y"),
    ("POST", "/projects", {"project": {"name": "x", "parent_id": "y"}}, 501, "parent_id"),
    ("POST", "/projects", {"project": {"nam": "x"}}, 400, "unknown field `nam`"),
    ("POST", "/projects", {"name": "x"}, 400, "unknown field"),
    ("PATCH", "/projects/none", {"project": {"name": "x"}}, 404, "project: none"),
    ("GET", "/projects?limit=x", None, 400, "limit"),
    ("GET", "/projects?enabled=maybe", None, 400, "enabled"),
    ("POST", "/users", {"user": {"name": "admin"}}, 409, "named 'admin' already"),
    (
        "POST",
        "/users",
        {"user": {"name": "x", "default_project_id": "none"}},
        400,
        "default_project_id: there is no project 'none'",
    ),
    ("DELETE", "/users/none", None, 404, "user: none"),
    ("POST", "/roles", {"role": {"name": "admin"}}, 409, "named 'admin' already"),
    ("DELETE", "/roles/none", None, 404, "role: none"),
    ("POST", "/domains", {"domain": {"name": "x"}}, 501, "one domain"),
    ("GET", "/domains/none", None, 404, "domain: none"),
    ("POST", "/services", {"service": {"type": "x"}}, 501, "catalog is computed"),
    ("GET", "/services/none", None, 404, "service: none"),
    ("GET", "/regions/none", None, 404, "region: none"),
    ("GET", "/endpoints/none", None, 404, "endpoint: none"),
    ("GET", "/nothing", None, 404, "Not Found"),
    ("PUT", "/projects/p/users/u/roles/r", None, 404, "role: r"),
    ("PUT", "/system/users/u/roles/r", None, 404, "role: r"),
]


def test_refusals_name_what_is_wrong(one: World) -> None:
    admin = one.as_admin()
    for method, path, body, status, text in REFUSALS:
        reply = admin.raw(method, V3 + path, body)
        assert (path, reply.status_code) == (path, status)
        assert text in reply.json()["error"]["message"]
        assert reply.json()["error"]["code"] == status


def test_standard_roles_and_oneself_are_not_deleted(one: World) -> None:
    admin = one.as_admin()
    for role in admin.get(f"{V3}/roles")["roles"]:
        assert admin.raw("DELETE", f"{V3}/roles/{role['id']}").status_code == 403
    (me,) = admin.get(f"{V3}/users", name="admin")["users"]
    assert admin.raw("DELETE", f"{V3}/users/{me['id']}").status_code == 409


def test_lists_come_in_pages_that_links_lead_through(one: World) -> None:
    admin = one.as_admin()
    for number in range(5):
        admin.post(f"{V3}/projects", {"project": {"name": f"p{number}"}})
    found: list[str] = []
    following = f"{V3}/projects?limit=3"
    while following:
        body = admin.get(following.removeprefix("http://testserver"))
        assert len(body["projects"]) <= 3
        found += [project["name"] for project in body["projects"]]
        following = body["links"]["next"]
    assert sorted(found) == ["admin", "p0", "p1", "p2", "p3", "p4", "service"]


def test_what_clients_ask_in_passing_is_answered(one: World) -> None:
    admin = one.as_admin()
    assert [d["id"] for d in admin.get(f"{V3}/domains")["domains"]] == ["default"]
    assert admin.get(f"{V3}/domains/default")["domain"]["name"] == "Default"
    assert admin.get(f"{V3}/groups")["groups"] == []
    assert [r["id"] for r in admin.get(f"{V3}/regions")["regions"]] == ["RegionOne"]
    services = {s["id"]: s for s in admin.get(f"{V3}/services")["services"]}
    endpoints = admin.get(f"{V3}/endpoints")["endpoints"]
    assert len(endpoints) == 3 * len(services)
    for endpoint in endpoints:
        shown = admin.get(f"{V3}/services/{endpoint['service_id']}")["service"]
        assert shown == services[endpoint["service_id"]]
    inferences = admin.get(f"{V3}/role_inferences")["role_inferences"]
    assert {(i["prior_role"]["name"], i["implies"][0]["name"]) for i in inferences} == {
        ("admin", "manager"),
        ("manager", "member"),
        ("member", "reader"),
    }

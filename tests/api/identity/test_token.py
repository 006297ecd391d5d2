"""Logging in, and what a token is worth."""

from typing import Any

import pytest

from api.identity_site import Client, World, project
from lanekeeper.control.identity.token import REFUSED, authenticate_token, rotate_token_keys
from lanekeeper.domain.errors import Unauthenticated

pytestmark = pytest.mark.service

TOKENS = "/identity/v3/auth/tokens"


def log_in(one: World, auth: dict[str, Any]) -> Any:
    return one.http.post(TOKENS, json={"auth": auth})


def by_password(**user: object) -> dict[str, Any]:
    return {"identity": {"methods": ["password"], "password": {"user": user}}}


def is_valid(one: World, token: str) -> bool:
    reply = Client(one, token).raw("GET", "/identity/v3/auth/projects")
    return bool(reply.status_code == 200)


def test_versions_need_no_token(one: World) -> None:
    listed = one.http.get("/identity/", follow_redirects=False)
    (version,) = listed.json()["versions"]["values"]
    assert (listed.status_code, listed.headers["location"]) == (
        300,
        "http://testserver/identity/v3/",
    )
    assert one.http.get("/identity/v3/").json() == {"version": version}
    assert (version["id"], version["status"]) == ("v3.14", "stable")


def test_a_password_and_a_project_make_a_token_with_roles_and_catalog(one: World) -> None:
    reply = log_in(
        one,
        by_password(name="admin", domain={"name": "Default"}, password=one.admin.password)
        | {"scope": {"project": {"name": "admin", "domain": {"name": "Default"}}}},
    )
    token = reply.json()["token"]
    assert reply.status_code == 201
    assert reply.headers["vary"] == "X-Auth-Token"
    assert [role["name"] for role in token["roles"]] == ["admin", "manager", "member", "reader"]
    assert (token["project"]["name"], token["is_domain"]) == ("admin", False)
    assert token["expires_at"].endswith("Z")
    assert {
        service["type"]: {(e["interface"], e["region_id"], e["url"]) for e in service["endpoints"]}
        for service in token["catalog"]
    } == {
        kind: {(face, "RegionOne", f"http://testserver{path}") for face in faces}
        for kind, path in {
            "identity": "/identity/v3",
            "compute": "/compute/v2.1",
            "network": "/network",
            "image": "/image",
            "placement": "/placement",
        }.items()
        for faces in [("public", "internal", "admin")]
    }


def test_every_scope_can_be_asked_for(one: World) -> None:
    secret = one.admin.password
    system = one.log_in("admin", secret, {"system": {"all": True}})[2]["token"]
    assert (system["system"], "project" in system) == ({"all": True}, False)
    unscoped = one.log_in("admin", secret, "unscoped")[2]["token"]
    assert not {"project", "roles", "catalog"} & set(unscoped)
    assert one.log_in("admin", secret)[2]["token"]["project"]["name"] == "admin"
    no_role = one.log_in("admin", secret, {"domain": {"id": "default"}})
    assert (no_role[0], "no role in the scope" in str(no_role[2])) == (401, True)


def test_a_domain_is_a_scope_for_who_has_a_role_there(one: World) -> None:
    admin = one.as_admin()
    users = admin.get("/identity/v3/users", name="admin")["users"]
    roles = admin.get("/identity/v3/roles", name="reader")["roles"]
    path = f"/identity/v3/domains/default/users/{users[0]['id']}/roles/{roles[0]['id']}"
    assert admin.raw("PUT", path).status_code == 204
    token = one.log_in("admin", one.admin.password, {"domain": {"name": "Default"}})[2]["token"]
    assert (token["domain"]["id"], [r["name"] for r in token["roles"]]) == ("default", ["reader"])


FAILED: list[dict[str, Any]] = [
    {"name": "admin", "domain": {"id": "default"}, "password": "wrong"},
    {"name": "nobody", "domain": {"id": "default"}, "password": "wrong"},
    {"name": "admin", "domain": {"id": "other"}, "password": "wrong"},
    {"name": "admin", "password": "wrong"},
    {"id": "no-such-id", "password": "wrong"},
    {"password": ""},
]


def test_a_failed_login_never_says_what_was_wrong(one: World) -> None:
    for user in FAILED:
        reply = log_in(one, by_password(**user) | {"scope": project("admin")})
        assert (user, reply.status_code) == (user, 401)
        assert reply.json() == {
            "error": {"code": 401, "title": "Unauthorized", "message": REFUSED},
        }
        assert reply.headers["www-authenticate"] == 'Keystone uri="http://testserver/identity"'


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({}, "missing required field `identity`"),
    ({"identity": {"methods": ["password"]}}, "the method password has no 'password' object"),
    ({"identity": {"methods": []}}, "length >= 1"),
    (
        by_password(id="x", password="y") | {"scope": {"project": {}, "system": {"all": True}}},
        "exactly one of project, domain, system and unscoped",
    ),
    (by_password(id="x", password=7), "auth.identity.password.user.password"),
    (by_password(id="x" * 10_000, password="y"), "auth.identity.password.user.id"),
    (by_password(id="x", password="y" * 5000), "auth.identity.password.user.password"),
]


def test_a_malformed_login_is_named(one: World) -> None:
    for auth, text in MALFORMED:
        reply = log_in(one, auth)
        message = reply.json()["error"]["message"]
        assert (reply.status_code, text in message) == (400, True), message


def test_unknown_methods_and_trusts_are_refused(one: World) -> None:
    assert log_in(one, {"identity": {"methods": ["totp"]}}).status_code == 401
    auth = by_password(id="x", password="y") | {"scope": {"OS-TRUST:trust": {"id": "t"}}}
    assert log_in(one, auth).status_code == 501


def test_a_token_is_exchanged_for_another_scope_and_dies_with_the_first(one: World) -> None:
    member = one.member("ann")
    one.hands.turn(600)
    auth = {
        "identity": {"methods": ["token"], "token": {"id": member.token}},
        "scope": {"project": {"id": member.project_id}},
    }
    first = member.raw("GET", TOKENS, headers={"X-Subject-Token": member.token}).json()["token"]
    second = log_in(one, auth).json()["token"]
    assert second["expires_at"] == first["expires_at"]
    assert second["audit_ids"][1] == first["audit_ids"][0]
    assert second["methods"] == ["token", "password"]


def test_a_token_is_validated_by_its_holder_and_by_admins_only(one: World) -> None:
    ann, bob, admin = one.member("ann"), one.member("bob"), one.as_admin()
    subject = {"X-Subject-Token": ann.token}
    own = ann.raw("GET", TOKENS, headers=subject)
    assert own.json()["token"]["user"]["name"] == "ann"
    assert own.headers["x-subject-token"] == ann.token
    assert admin.raw("GET", TOKENS, headers=subject).json() == own.json()
    assert admin.raw("HEAD", TOKENS, headers=subject).status_code == 200
    assert bob.raw("GET", TOKENS, headers=subject).status_code == 403
    assert bob.raw("DELETE", TOKENS, headers=subject).status_code == 403
    assert admin.raw("GET", TOKENS, headers={"X-Subject-Token": "none"}).status_code == 404
    assert admin.raw("GET", TOKENS).status_code == 400


def test_a_revoked_token_is_void_at_once(one: World) -> None:
    ann = one.member("ann")
    assert is_valid(one, ann.token)
    gone = ann.raw("DELETE", TOKENS, headers={"X-Subject-Token": ann.token})
    assert gone.status_code == 204
    assert not is_valid(one, ann.token)
    subject = {"X-Subject-Token": ann.token}
    assert one.as_admin().raw("DELETE", TOKENS, headers=subject).status_code == 404


def test_what_another_controller_revoked_is_void_within_a_second(one: World) -> None:
    ann = one.member("ann")
    assert is_valid(one, ann.token)
    remembered = authenticate_token(one.site, ann.token, "req-1")
    one.site.database.write(lambda connection: connection.exec_driver_sql("DELETE FROM assignment"))
    assert authenticate_token(one.site, ann.token, "req-2").user_id == remembered.user_id
    one.hands.turn(1.1)
    with pytest.raises(Unauthenticated):
        authenticate_token(one.site, ann.token, "req-3")


def test_a_token_expires(one: World) -> None:
    token = one.admin_token()
    one.hands.turn(3599)
    assert is_valid(one, token)
    one.hands.turn(1)
    assert not is_valid(one, token)


def test_a_token_dies_with_what_it_rests_on(one: World) -> None:
    admin = one.as_admin()
    ann, bob, eve, joe = (one.member(name) for name in ("ann", "bob", "eve", "joe"))
    admin.patch(f"/identity/v3/users/{ann.user_id}", {"user": {"enabled": False}})
    admin.patch(f"/identity/v3/projects/{bob.project_id}", {"project": {"enabled": False}})
    admin.delete(f"/identity/v3/users/{eve.user_id}")
    one.hands.turn(0.001)
    admin.patch(f"/identity/v3/users/{joe.user_id}", {"user": {"password": "other"}})
    assert [is_valid(one, who.token) for who in (ann, bob, eve, joe)] == [False] * 4
    assert one.log_in("joe", "other")[0] == 201
    assert one.log_in("ann", "secret")[0] == 401


def test_forged_and_foreign_tokens_are_refused(one: World) -> None:
    token = one.admin_token()
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    forged = token[:middle] + other + token[middle + 1 :]
    for text in (forged, "x", "gAAAAA", token[:-4], "é" * 10, "y" * 100_000, token + "\0"):
        with pytest.raises(Unauthenticated):
            authenticate_token(one.site, text, "req-1")


def test_keys_rotate_and_old_tokens_stay_good_until_they_expire(one: World) -> None:
    old = one.admin_token()
    rotate_token_keys(one.site)
    new = one.admin_token()
    assert is_valid(one, old)
    assert is_valid(one, new)
    one.hands.turn(3600 + 121)
    rotate_token_keys(one.site)  # the first key's last token has expired by now
    with one.site.database.read() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM token_key").scalar()
    assert count == 2
    assert is_valid(one, one.admin_token())


def test_users_change_their_own_password(one: World) -> None:
    ann = one.member("ann")
    path = f"/identity/v3/users/{ann.user_id}/password"
    one.hands.turn(0.001)
    wrong = {"user": {"original_password": "no", "password": "new"}}
    right = {"user": {"original_password": "secret", "password": "new"}}
    assert one.http.post(path, json=wrong).status_code == 401
    assert one.http.post(path, json=right).status_code == 204
    assert not is_valid(one, ann.token)
    assert one.log_in("ann", "secret")[0] == 401
    assert one.log_in("ann", "new")[0] == 201


# Application credentials --------------------------------------------------------------------------


def by_credential(**proof: object) -> dict[str, Any]:
    methods = ["application_credential"]
    return {"identity": {"methods": methods, "application_credential": proof}}


def make(client: Client, **body: object) -> Any:
    path = f"/identity/v3/users/{client.user_id}/application_credentials"
    return client.post(path, {"application_credential": body})["application_credential"]


def test_an_application_credential_logs_in_to_its_project(one: World) -> None:
    ann = one.member("ann")
    made = make(ann, name="ci", roles=[{"name": "reader"}])
    user = {"name": "ann", "domain": {"id": "default"}}
    for proof in ({"id": made["id"]}, {"name": "ci", "user": user}):
        reply = log_in(one, by_credential(secret=made["secret"], **proof))
        token = reply.json()["token"]
        assert [role["name"] for role in token["roles"]] == ["reader"]
        assert token["project"]["id"] == ann.project_id
    path = f"/identity/v3/users/{ann.user_id}/application_credentials/{made['id']}"
    shown = ann.get(path)["application_credential"]
    assert "secret" not in shown
    assert log_in(one, by_credential(id=made["id"], secret="no")).status_code == 401
    token_text = reply.headers["x-subject-token"]
    ann.delete(path)
    assert not is_valid(one, token_text)


def test_a_restricted_credential_makes_no_other_and_no_other_scope(one: World) -> None:
    ann = one.member("ann")
    made = make(ann, name="ci", expires_at="2999-01-01T00:00:00")
    assert made["expires_at"] == "2999-01-01T00:00:00.000000"
    reply = log_in(one, by_credential(id=made["id"], secret=made["secret"]))
    robot = Client(one, reply.headers["x-subject-token"])
    path = f"/identity/v3/users/{ann.user_id}/application_credentials"
    refused = robot.raw("POST", path, {"application_credential": {"name": "more"}})
    assert refused.status_code == 403
    again = {"identity": {"methods": ["token"], "token": {"id": robot.token}}}
    assert log_in(one, again).status_code == 403


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"name": "a", "roles": [{"name": "admin"}]}, 400, "roles: admin is not among"),
    ({"name": "a", "expires_at": "2001-01-01"}, 400, "expires_at: that moment has passed"),
    ({"name": "a", "expires_at": "soon"}, 400, "expires_at: 'soon' is not a moment"),
    ({"name": "a", "expires_at": "9999-12-31T23:59:59-23:59"}, 400, "is not a moment"),
    ({"name": "a", "expires_at": "0001-01-01T00:00:00+23:59"}, 400, "is not a moment"),
    ({"name": " "}, 400, "application_credential.name"),
    ({"name": "ci"}, 409, "there is an application credential named 'ci' already"),
]


def test_application_credentials_are_checked(one: World) -> None:
    ann = one.member("ann")
    make(ann, name="ci")
    path = f"/identity/v3/users/{ann.user_id}/application_credentials"
    for body, status, text in WRONG:
        reply = ann.raw("POST", path, {"application_credential": body})
        message = reply.json()["error"]["message"]
        assert (reply.status_code, text in message) == (status, True), message
    other = one.member("bob").raw("POST", path, {"application_credential": {"name": "x"}})
    assert other.status_code == 403

"""Projects, users and roles, and what a user may who lacks one."""

from collections.abc import Iterator

import pytest

from running import Instance

pytestmark = pytest.mark.client

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def member(shared: Instance) -> Iterator[dict[str, str]]:
    """The environment of a user who is member, and nothing more, of a project of their own."""
    shared.openstack("project", "create", "--domain", "default", "tenant")
    shared.openstack("user", "create", "--domain", "default", "--password", PASSWORD, "alice")
    shared.done("role", "add", "--user", "alice", "--project", "tenant", "member")
    yield {"OS_USERNAME": "alice", "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": "tenant"}
    shared.done("user", "delete", "alice")
    shared.done("project", "delete", "tenant")


def as_user(shared: Instance, environment: dict[str, str]) -> dict[str, str]:
    """What a shell without a clouds.yaml needs."""
    return {
        "OS_CLOUD": "",
        "OS_CLIENT_CONFIG_FILE": "/nonexistent",
        "OS_AUTH_URL": shared.credentials["auth_url"],
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
        "OS_IDENTITY_API_VERSION": "3",
        **environment,
    }


def test_a_project_is_made_listed_shown_changed_and_deleted(shared: Instance) -> None:
    made = shared.openstack("project", "create", "--domain", "default", "lanes")
    assert (made["name"], made["enabled"], made["domain_id"]) == ("lanes", True, "default")
    assert made["id"] in {row["ID"] for row in shared.openstack("project", "list")}
    shared.done("project", "set", "--description", "of the west", "lanes")
    assert shared.openstack("project", "show", "lanes")["description"] == "of the west"
    shared.done("project", "delete", "lanes")
    assert "lanes" in shared.refused("project", "show", "lanes")


def test_a_project_of_a_name_that_exists_is_refused(shared: Instance) -> None:
    assert "admin" in shared.refused("project", "create", "--domain", "default", "admin")


def test_roles_are_listed_with_the_three_that_everybody_has(shared: Instance) -> None:
    names = {row["Name"] for row in shared.openstack("role", "list")}
    assert names >= {"admin", "member", "reader"}


def test_an_assignment_is_listed_by_names(shared: Instance, member: dict[str, str]) -> None:
    rows = shared.openstack("role", "assignment", "list", "--names", "--user", "alice")
    assert [(row["Role"], row["User"], row["Project"]) for row in rows] == [
        ("member", "alice@Default", "tenant@Default")
    ]


def test_a_member_logs_in_and_sees_only_their_own(shared: Instance, member: dict[str, str]) -> None:
    environment = as_user(shared, member)
    token = shared.openstack("token", "issue", env=environment)
    assert token["project_id"] == shared.openstack("project", "show", "tenant")["id"]
    assert shared.openstack("server", "list", env=environment) == []


@pytest.mark.parametrize(
    "command",
    [
        ["flavor", "create", "--ram", "64", "--disk", "1", "stolen"],
        ["project", "create", "stolen"],
        ["aggregate", "create", "stolen"],
        [
            *["network", "create", "--provider-network-type", "vlan"],
            *["--provider-physical-network", "physnet1", "--provider-segment", "99", "stolen"],
        ],
        ["hypervisor", "list"],
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_a_member_may_not_do_an_admins_work(
    shared: Instance, member: dict[str, str], command: list[str]
) -> None:
    assert "403" in shared.refused(*command, env=as_user(shared, member))


def test_a_wrong_password_is_refused(shared: Instance, member: dict[str, str]) -> None:
    wrong = as_user(shared, {**member, "OS_PASSWORD": "wrong"})
    assert "401" in shared.refused("token", "issue", env=wrong)


def test_a_user_without_a_role_in_a_project_cannot_enter_it(
    shared: Instance, member: dict[str, str]
) -> None:
    elsewhere = as_user(shared, {**member, "OS_PROJECT_NAME": "admin"})
    assert "401" in shared.refused("token", "issue", env=elsewhere)


def test_a_revoked_token_opens_nothing(shared: Instance) -> None:
    token = shared.openstack("token", "issue")["id"]
    with shared.http(**{"X-Auth-Token": token}) as http:
        assert http.get("/compute/v2.1/servers").status_code == 200
        shared.done("token", "revoke", token)
        # A revocation reaches every controller within a second; this one has no other.
        assert http.get("/compute/v2.1/servers").status_code == 401

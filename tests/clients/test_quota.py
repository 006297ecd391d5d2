"""Limits, quotas and usage with the stock client."""

import json
from collections.abc import Iterator

import pytest

from clients.conftest import Surroundings
from running import Instance, lanekeeper

pytestmark = pytest.mark.client
_NOVA = ("--service", "nova")


@pytest.fixture
def held(shared: Instance) -> Iterator[dict[str, str]]:
    """The environment of the admin in a project of its own, and no limits afterwards."""
    shared.openstack("project", "create", "held")
    shared.done("role", "add", "--user", "admin", "--project", "held", "admin")
    there = {f"OS_{key.upper()}": value for key, value in shared.credentials.items()}
    yield {**there, "OS_PROJECT_NAME": "held", "OS_CLOUD": "", "OS_IDENTITY_API_VERSION": "3"}
    for kind in (("limit",), ("registered", "limit")):
        for row in shared.openstack(*kind, "list"):
            shared.done(*kind, "delete", row["ID"])
    shared.done("project", "delete", "held")


def test_limits_are_shown(shared: Instance) -> None:
    rows = shared.openstack("limits", "show", "--absolute")
    names = {row["Name"] for row in rows}
    assert len(names) > 5


def test_quotas_of_compute_and_network_are_shown(shared: Instance) -> None:
    rows = shared.openstack("quota", "show")
    assert {row["Resource"] for row in rows} >= {"instances", "cores", "ram", "ports", "networks"}


def test_a_project_is_held_to_its_limits(
    shared: Instance, surroundings: Surroundings, held: dict[str, str]
) -> None:
    made = shared.openstack(
        "registered", "limit", "create", *_NOVA, "--default-limit", "-1", "servers"
    )
    assert (made["resource_name"], made["default_limit"]) == ("servers", -1)
    for_alias = ("--default-limit", "1", "--region", "RegionOne", "--description", "one card each")
    shared.openstack("registered", "limit", "create", *_NOVA, *for_alias, "alias:a1")
    rows = shared.openstack("registered", "limit", "list", *_NOVA)
    assert {(one["Resource Name"], one["Default Limit"]) for one in rows} == {
        ("servers", -1),
        ("alias:a1", 1),
    }
    project = ("--project", "held", "--resource-limit", "1")
    own = shared.openstack("limit", "create", *_NOVA, *project, "servers")
    assert own["resource_limit"] == 1
    (listed,) = shared.openstack("limit", "list", "--resource-name", "servers")
    assert listed["Resource Limit"] == 1

    # Whoever has one gets no other, and is told all that there is to know.
    arguments = surroundings.server_arguments(surroundings.alias)
    server = shared.openstack("server", "create", *arguments, "--wait", "first", env=held)
    said = shared.refused("server", "create", *arguments, "second", env=held)
    assert "403" in said
    assert "servers: requested 1, already used 1 of 1" in said
    assert "alias:a1: requested 1, already used 1 of 1" in said
    assert "have an admin raise the limit" in said
    of_the_project = {**shared.environment, **held}
    told = lanekeeper("explain", "--flavor", surroundings.alias, env=of_the_project)
    assert told.returncode == 1
    assert "servers: requested 1, already used 1 of 1" in told.stderr

    quotas = {
        row["Resource"]: (row["Limit"], row["In Use"])
        for row in shared.openstack("quota", "show", "--usage", "held")
    }
    assert quotas["instances"] == (1, 1)
    limits = {
        row["Name"]: row["Value"]
        for row in shared.openstack("limits", "show", "--absolute", env=held)
    }
    assert (limits["instances"], limits["instances_used"]) == (1, 1)
    assert (limits["total_cores"], limits["total_cores_used"]) == (-1, 1)
    assert "openstack limit create" in shared.refused("quota", "set", "--instances", "9", "held")

    shared.openstack("limit", "set", "--resource-limit", "2", own["id"])
    assert shared.openstack("limit", "show", own["id"])["resource_limit"] == 2
    plain = surroundings.server_arguments(surroundings.plain)
    second = shared.openstack("server", "create", *plain, "--wait", "second", env=held)
    assert second["status"] == "ACTIVE"
    shared.done("server", "delete", "--wait", server["id"], second["id"], env=held)

    # What they used is told when they are gone, devices too.
    held_id = shared.openstack("project", "show", "held")["id"]
    (row,) = [one for one in shared.openstack("usage", "list") if one["Project"] == held_id]
    assert len(row["Servers"]) == 2
    assert row["CPU Hours"] > 0
    shown = shared.openstack("usage", "show", "--project", "held")
    assert shown["CPU Hours"] == pytest.approx(row["CPU Hours"], abs=1)
    told = lanekeeper("usage", "--project", "held", "--json", env=shared.environment)
    assert told.returncode == 0, told.stderr
    (used,) = json.loads(told.stdout)["projects"]
    assert (used["project_name"], used["servers"]) == ("held", 2)
    assert used["aliases"]["a1"] == sum(used["devices"].values()) > 0


def test_what_would_hold_nobody_is_refused_in_words(shared: Instance, held: dict[str, str]) -> None:
    create = ("registered", "limit", "create", "--default-limit", "1")
    assert "is nothing that is counted" in shared.refused(*create, *_NOVA, "cores")
    assert "glance holds nobody" in shared.refused(*create, "--service", "glance", "servers")
    own = ("limit", "create", *_NOVA, "--project", "held", "--resource-limit", "1", "servers")
    assert "no corresponding registered limit" in shared.refused(*own)
    registered = shared.openstack(*create, *_NOVA, "servers")
    assert "there is one of servers already" in shared.refused(*create, *_NOVA, "servers")
    changed = shared.openstack(
        "registered", "limit", "set", "--default-limit", "3", registered["id"]
    )
    assert changed["default_limit"] == 3
    shared.openstack(*own)
    said = shared.refused("registered", "limit", "delete", registered["id"])
    assert "there are project limits associated with it" in said

"""Server groups with the stock client."""

from collections.abc import Callable

import pytest

from clients.conftest import Surroundings
from running import Instance

pytestmark = pytest.mark.client


def test_servers_of_a_group_are_kept_apart_and_the_third_is_told_why(
    shared: Instance, surroundings: Surroundings, gone_afterwards: Callable[[str], str]
) -> None:
    made = shared.openstack("server", "group", "create", "--policy", "anti-affinity", "apart")
    assert (made["name"], made["policy"], made["members"]) == ("apart", "anti-affinity", [])
    arguments = surroundings.server_arguments(surroundings.plain)
    hint = ("--hint", f"group={made['id']}")
    names = [gone_afterwards(f"apart-{number}") for number in range(3)]
    servers = [
        shared.openstack("server", "create", *arguments, *hint, "--wait", name)
        for name in names[:2]
    ]
    assert {one["OS-EXT-SRV-ATTR:host"] for one in servers} == {"sim-1", "sim-2"}
    assert shared.openstack("server", "show", servers[0]["id"])["server_groups"] == [made["id"]]
    shared.refused("server", "create", *arguments, *hint, "--wait", names[2])
    fault = shared.openstack("server", "show", names[2])["fault"]
    assert "server_group_anti_affinity turned away 2 of 2" in fault["message"]

    limits = shared.openstack("limits", "show", "--absolute")
    (used,) = [one["Value"] for one in limits if one["Name"] == "server_groups_used"]
    assert used == len(shared.openstack("server", "group", "list"))
    (row,) = [one for one in shared.openstack("server", "group", "list") if one["Name"] == "apart"]
    assert row["Policy"] == "anti-affinity"
    shown = shared.openstack("server", "group", "show", made["id"])
    assert {one["id"] for one in servers} < {*shown["members"]}
    shared.done("server", "group", "delete", made["id"])
    assert "No ServerGroup" in shared.refused("server", "group", "show", made["id"])

"""Hosts as Compute shows them: hypervisors, services, zones, aggregates."""

import pytest

from running import Instance

pytestmark = pytest.mark.client


def test_hypervisors_are_listed_and_shown(shared: Instance) -> None:
    rows = shared.openstack("hypervisor", "list")
    assert {row["Hypervisor Hostname"] for row in rows} == {"sim-1", "sim-2"}
    assert {row["State"] for row in rows} == {"up"}
    shown = shared.openstack("hypervisor", "show", "sim-1")
    assert (shown["hypervisor_hostname"], shown["state"], shown["status"]) == (
        "sim-1",
        "up",
        "enabled",
    )


def test_each_host_runs_a_compute_service(shared: Instance) -> None:
    rows = shared.openstack("compute", "service", "list", "--service", "nova-compute")
    assert {row["Host"] for row in rows} == {"sim-1", "sim-2"}
    assert {(row["Status"], row["State"]) for row in rows} == {("enabled", "up")}


def test_a_disabled_service_says_why_and_comes_back(shared: Instance) -> None:
    command = ["compute", "service", "set"]
    shared.done(*command, "--disable", "--disable-reason", "new card", "sim-2", "nova-compute")
    rows = shared.openstack("compute", "service", "list", "--host", "sim-2", "--long")
    assert [(row["Status"], row["Disabled Reason"]) for row in rows] == [("disabled", "new card")]
    shared.done(*command, "--enable", "sim-2", "nova-compute")
    rows = shared.openstack("compute", "service", "list", "--host", "sim-2")
    assert [row["Status"] for row in rows] == ["enabled"]


def test_the_default_zone_is_available(shared: Instance) -> None:
    rows = shared.openstack("availability", "zone", "list", "--compute")
    zones = {row["Zone Name"]: row["Zone Status"] for row in rows}
    assert zones["nova"] == "available"


def test_an_aggregate_gathers_hosts_under_a_zone(shared: Instance) -> None:
    made = shared.openstack("aggregate", "create", "--zone", "west", "rack-1")
    assert (made["name"], made["availability_zone"]) == ("rack-1", "west")
    shared.openstack("aggregate", "add", "host", "rack-1", "sim-1")
    shared.done("aggregate", "set", "--property", "pci=true", "rack-1")
    shown = shared.openstack("aggregate", "show", "rack-1")
    assert shown["hosts"] == ["sim-1"]
    assert shown["properties"]["pci"] == "true"
    rows = shared.openstack("availability", "zone", "list", "--compute")
    assert "west" in {row["Zone Name"] for row in rows}
    shared.openstack("aggregate", "remove", "host", "rack-1", "sim-1")
    shared.done("aggregate", "delete", "rack-1")
    assert "rack-1" not in {row["Name"] for row in shared.openstack("aggregate", "list")}


def test_an_unknown_host_joins_no_aggregate(shared: Instance) -> None:
    shared.openstack("aggregate", "create", "rack-2")
    assert "404" in shared.refused("aggregate", "add", "host", "rack-2", "no-such-host")
    shared.done("aggregate", "delete", "rack-2")


def test_a_host_is_removed_for_good(fresh: Instance) -> None:
    (row,) = fresh.openstack("compute", "service", "list", "--service", "nova-compute")
    fresh.done("compute", "service", "delete", str(row["ID"]))
    assert fresh.openstack("compute", "service", "list") == []
    assert fresh.openstack("hypervisor", "list") == []
    assert fresh.openstack("resource", "provider", "list") == []

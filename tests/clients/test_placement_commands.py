"""Every command of osc-placement, on providers that are a client's own."""

import uuid

import pytest

from running import Instance

pytestmark = pytest.mark.client

_LATEST = ["--os-placement-api-version", "1.39"]


def test_providers_and_what_they_have(shared: Instance) -> None:
    do = shared.openstack
    made = do("resource", "provider", "create", "osc-parent")
    child = do(
        *_LATEST, "resource", "provider", "create", "osc-child", "--parent-provider", made["uuid"]
    )
    assert child["root_provider_uuid"] == made["uuid"]
    mine, below = made["uuid"], child["uuid"]
    renamed = do("resource", "provider", "set", mine, "--name", "osc-renamed")
    assert renamed["name"] == "osc-renamed"
    assert do("resource", "provider", "show", mine)["name"] == "osc-renamed"
    tree = do("resource", "provider", "list", "--in-tree", below)
    assert {row["name"] for row in tree} == {"osc-renamed", "osc-child"}

    do("resource", "provider", "inventory", "set", mine, "--resource", "VCPU=8")
    do("resource", "provider", "inventory", "class", "set", mine, "VCPU", "--total", "16")
    assert do("resource", "provider", "inventory", "show", mine, "VCPU")["total"] == 16
    amended = do(
        *["resource", "provider", "inventory", "set", mine, "--amend"],
        *["--resource", "DISK_GB=100", "--resource", "VCPU:reserved=2"],
    )
    assert {row["resource_class"] for row in amended} == {"VCPU", "DISK_GB"}
    shared.done(
        *["resource", "provider", "inventory", "delete", mine, "--resource-class", "DISK_GB"]
    )
    (left,) = do("resource", "provider", "inventory", "list", mine)
    assert (left["resource_class"], left["reserved"], left["used"]) == ("VCPU", 2, 0)

    aggregate = str(uuid.uuid4())
    generation = str(do("resource", "provider", "show", mine)["generation"])
    do(
        "resource",
        "provider",
        "aggregate",
        "set",
        mine,
        "--aggregate",
        aggregate,
        "--generation",
        generation,
    )
    (row,) = do("resource", "provider", "aggregate", "list", mine)
    assert row["uuid"] == aggregate
    found = do("resource", "provider", "list", "--member-of", aggregate)
    assert [row["name"] for row in found] == ["osc-renamed"]

    shared.done("resource", "provider", "delete", below)
    shared.done("resource", "provider", "inventory", "delete", mine)
    shared.done("resource", "provider", "delete", mine)
    assert "404" in shared.refused("resource", "provider", "show", mine)


def test_devices_are_set_aside_and_asked_back(shared: Instance) -> None:
    do = shared.openstack
    cards = do("resource", "provider", "list", *["--resource", "CUSTOM_PCI_8086_10CA=1"])
    card = cards[0]["uuid"]

    def reserve(number: int) -> int:
        asked = ["--amend", "--resource", f"CUSTOM_PCI_8086_10CA:reserved={number}"]
        do("resource", "provider", "inventory", "set", card, *asked)
        rows = do("resource", "provider", "inventory", "list", card)
        by_class = {row["resource_class"]: int(row["reserved"]) for row in rows}
        return by_class["CUSTOM_PCI_8086_10CA"]

    before = reserve(1)
    assert (before, reserve(0)) == (1, 0)


def test_allocations_and_usages(shared: Instance) -> None:
    do = shared.openstack
    provider = do("resource", "provider", "create", "osc-giver")["uuid"]
    do(
        *["resource", "provider", "inventory", "set", provider],
        *["--resource", "VCPU=8", "--resource", "DISK_GB=100"],
    )
    consumer, project = str(uuid.uuid4()), uuid.uuid4().hex
    owner = ["--project-id", project, "--user-id", "osc-user"]
    held = do(
        *_LATEST,
        *["resource", "provider", "allocation", "set", consumer, *owner],
        *["--consumer-type", "OSC"],
        *["--allocation", f"rp={provider},VCPU=2", "--allocation", f"rp={provider},DISK_GB=10"],
    )
    assert held[0]["resources"] == {"VCPU": 2, "DISK_GB": 10}
    used = do("resource", "provider", "usage", "show", provider)
    assert {row["resource_class"]: row["usage"] for row in used} == {"VCPU": 2, "DISK_GB": 10}
    of_project = do("resource", "usage", "show", project)
    assert {row["resource_class"]: row["usage"] for row in of_project} == {"VCPU": 2, "DISK_GB": 10}
    shown = do("resource", "provider", "show", provider, "--allocations")
    assert consumer in str(shown["allocations"])
    left = do(
        *_LATEST,
        *["resource", "provider", "allocation", "unset", consumer],
        *["--provider", provider, "--resource-class", "DISK_GB"],
    )
    assert left[0]["resources"] == {"VCPU": 2}
    (row,) = do("resource", "provider", "allocation", "show", consumer)
    assert row["resource_provider"] == provider
    said = shared.refused(
        *[*_LATEST, "resource", "provider", "allocation", "set", str(uuid.uuid4()), *owner],
        *["--consumer-type", "OSC", "--allocation", f"rp={provider},VCPU=7"],
    )
    assert "7 asked, 6 of 8 free" in said
    assert "in use" in shared.refused("resource", "provider", "inventory", "delete", provider)
    shared.done("resource", "provider", "allocation", "delete", consumer)
    shared.done("resource", "provider", "delete", provider)


def test_traits_and_classes(shared: Instance) -> None:
    do = shared.openstack
    shared.done("trait", "create", "CUSTOM_OSC")
    assert do("trait", "show", "CUSTOM_OSC")["name"] == "CUSTOM_OSC"
    names = {row["name"] for row in do("trait", "list", "--name", "startswith:CUSTOM_OSC")}
    assert names == {"CUSTOM_OSC"}
    provider = do("resource", "provider", "create", "osc-marked")["uuid"]
    do("resource", "provider", "trait", "set", provider, "--trait", "CUSTOM_OSC")
    (row,) = do("resource", "provider", "trait", "list", provider)
    assert row["name"] == "CUSTOM_OSC"
    found = do(*_LATEST, "resource", "provider", "list", "--required", "CUSTOM_OSC,CUSTOM_OSC")
    assert [row["name"] for row in found] == ["osc-marked"]
    assert "in use by a resource provider" in shared.refused("trait", "delete", "CUSTOM_OSC")
    shared.done("resource", "provider", "trait", "delete", provider)
    shared.done("trait", "delete", "CUSTOM_OSC")

    shared.done("resource", "class", "create", "CUSTOM_OSC_A")
    shared.done("resource", "class", "set", "CUSTOM_OSC_B")
    assert do("resource", "class", "show", "CUSTOM_OSC_B")["name"] == "CUSTOM_OSC_B"
    do("resource", "provider", "inventory", "set", provider, "--resource", "CUSTOM_OSC_A=4")
    rows = do(*_LATEST, "allocation", "candidate", "list", "--resource", "CUSTOM_OSC_A=1")
    assert [row["resource provider"] for row in rows] == [provider]
    assert "in use in inventory" in shared.refused("resource", "class", "delete", "CUSTOM_OSC_A")
    shared.done("resource", "provider", "delete", provider)
    for name in ("CUSTOM_OSC_A", "CUSTOM_OSC_B"):
        shared.done("resource", "class", "delete", name)
    left = {row["name"] for row in do("resource", "class", "list")}
    assert "VCPU" in left
    assert "CUSTOM_OSC_A" not in left

"""What is too much, and what may be limited."""

import pytest

from lanekeeper.domain.compute.quota import (
    Limits,
    Strategy,
    Unregistered,
    asked_by,
    check_alias,
    difference,
    excesses,
    parse_resource,
    refuse_excess,
    with_devices,
)
from lanekeeper.domain.errors import Invalid, OverQuota
from lanekeeper.domain.pci.request import DeviceRequest
from lanekeeper.domain.scheduling.host import DeviceNeed, ServerRequest


@pytest.mark.parametrize(
    "name",
    ["servers", "class:VCPU", "class:PCPU", "class:CUSTOM_GOLD", "class:SRIOV_NET_VF", "alias:g 1"],
)
def test_what_is_counted_may_be_limited(name: str) -> None:
    assert parse_resource(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "cores", "server", "class:", "class:vcpu", "class:CUSTOM_thing", "class:MEMRY_MB",
        "class:CUSTOM_", "VGPU", "alias:", "alias: a1", f"alias:{'a' * 250}",
    ],
)  # fmt: skip
def test_what_nobody_counts_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=r"resource_name .* is nothing that is counted"):
        parse_resource(name)


def test_an_alias_has_to_be_configured() -> None:
    check_alias("servers", ())
    check_alias("alias:a1", {"a1"})
    with pytest.raises(Invalid, match="no \\[pci\\] alias has this name") as refused:
        check_alias("alias:a2", {"b", "a1"})
    assert refused.value.hint == "configured are: a1, b"


@pytest.mark.parametrize(
    ("unregistered", "limits"),
    [
        (Unregistered(), (-1, -1, -1)),
        (Unregistered(Strategy.REQUIRE, frozenset({"servers"})), (0, -1, -1)),
        (Unregistered(Strategy.REQUIRE, frozenset({"alias:a1"})), (-1, -1, 0)),
        (Unregistered(Strategy.IGNORE), (0, 0, -1)),
        (Unregistered(Strategy.IGNORE, frozenset({"class:VCPU"})), (0, -1, -1)),
    ],
)
def test_without_a_registered_limit_the_strategy_says(
    unregistered: Unregistered, limits: tuple[int, ...]
) -> None:
    mine = Limits(unregistered=unregistered)
    names = ("servers", "class:VCPU", "alias:a1")
    assert tuple(map(mine.limit_of, names)) == limits
    assert mine.is_open == (unregistered == Unregistered())


def test_the_projects_own_limit_goes_before_the_registered_one() -> None:
    limits = Limits(registered={"servers": 2, "class:VCPU": 0}, own={"servers": -1})
    assert limits.limit_of("servers") == -1
    assert limits.limit_of("class:VCPU") == 0
    assert limits.default.limit_of("servers") == 2
    assert not limits.is_open


def test_what_is_within_passes_and_what_is_beyond_is_told_with_all_numbers() -> None:
    limits = Limits(registered={"servers": 3, "class:VCPU": 4}, own={"alias:a1": 0})
    used = {"servers": 2, "class:VCPU": 4}
    assert excesses(limits, used, {"servers": 1, "class:DISK_GB": 99}) == ()
    assert excesses(limits, {"servers": 9}, {"servers": 0}) == ()  # nothing more is asked for
    with pytest.raises(OverQuota) as refused:
        refuse_excess(limits, used, {"servers": 2, "class:VCPU": 1, "alias:a1": 1}, "p1")
    assert str(refused.value) == (
        "Quota exceeded for alias:a1: requested 1, already used 0 of 0; "
        "class:VCPU: requested 1, already used 4 of 4; servers: requested 2, already used 2 of 3"
    )
    assert "delete servers of the project" in refused.value.hint


@pytest.mark.parametrize(
    ("limits", "command"),
    [
        (Limits(registered={"servers": 0}),
         "openstack limit create --service nova --project p1 --resource-limit N servers"),
        (Limits(registered={"servers": 9}, own={"servers": 0}),
         "openstack limit set --resource-limit N ID, with the ID of openstack limit list "
         "--project p1 --resource-name servers"),
        (Limits(unregistered=Unregistered(Strategy.IGNORE)),
         "openstack registered limit create --service nova --default-limit N servers"),
    ],
)  # fmt: skip
def test_the_remedy_is_the_command_that_raises_it(limits: Limits, command: str) -> None:
    with pytest.raises(OverQuota) as refused:
        refuse_excess(limits, {}, {"servers": 1}, "p1")
    assert refused.value.hint.endswith(f"have an admin raise the limit: {command}")


def test_what_a_server_takes() -> None:
    def need(name: str | None, count: int) -> DeviceNeed:
        asked = DeviceRequest(alias_name=name, count=count, alternatives=())
        return DeviceNeed(id="n", name="n", request=asked)

    request = ServerRequest(
        vcpus=2, ram_mib=64, disk_gib=0, needs=(need("a1", 2), need(None, 1), need("a1", 1))
    )
    amounts = {"servers": 2, "class:VCPU": 4, "class:MEMORY_MB": 128, "alias:a1": 6}
    assert asked_by(request, 2) == amounts
    assert with_devices({"servers": 1}, ["CUSTOM_A", "CUSTOM_A"]) == {
        "servers": 1,
        "class:CUSTOM_A": 2,
    }
    assert difference({"servers": 1, "class:A": 2}, {"servers": 2, "class:A": 2, "class:B": 1}) == {
        "servers": 1,
        "class:B": 1,
    }

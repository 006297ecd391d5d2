"""Devices near to the guest, of the providers that an allocation names, and the plainest first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.scheduling.hosts import need, vf
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.scheduling.fit import Given, fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import Locality

GUEST = Locality(frozenset({0}), {0: 0, 1: 0, 2: 1, 3: 1})


def on(node: int | None, name: str) -> HostDevice:
    return replace(vf(name), numa_node=node)


def by(policy: NumaPolicy, one: DeviceNeed) -> DeviceNeed:
    return replace(one, request=replace(one.request, numa_policy=policy))


def names(found: tuple[Given, ...] | Shortfall) -> list[str]:
    assert not isinstance(found, Shortfall), found
    return [given.device.id for given in found]


@pytest.mark.parametrize("policy", [NumaPolicy.LEGACY, NumaPolicy.PREFERRED])
def test_hole_18_local_devices_come_first_under_every_policy(policy: NumaPolicy) -> None:
    devices = [on(None, "a"), on(None, "b"), on(0, "c")]
    assert names(fit_devices([by(policy, need("n", 2))], devices, GUEST)) == ["c", "a"]


def test_preferred_goes_from_near_to_far() -> None:
    devices = [on(2, "far"), on(1, "socket"), on(None, "unknown"), on(0, "local")]
    found = fit_devices([by(NumaPolicy.PREFERRED, need("n", 4))], devices, GUEST)
    assert names(found) == ["local", "unknown", "socket", "far"]


@pytest.mark.parametrize("policies", [("preferred", "required"), ("required", "preferred")])
def test_hole_2_the_order_of_requests_does_not_matter(policies: tuple[str, str]) -> None:
    wanted = [by(NumaPolicy(policy), need(policy)) for policy in policies]
    found = fit_devices(wanted, [on(0, "local"), on(1, "other")], GUEST)
    assert not isinstance(found, Shortfall)
    assert {given.need_id: given.device.id for given in found} == {
        "required": "local",
        "preferred": "other",
    }


def test_who_is_too_far_away_is_told_where_the_devices_are() -> None:
    found = fit_devices([by(NumaPolicy.REQUIRED, need("alias a1"))], [on(2, "x")], GUEST)
    assert found == Shortfall(
        ("alias a1",),
        "alias a1 needs 1 by NUMA policy required; of 1 that fit and are free 0 are near enough: "
        "the guest is on node 0, the others on node 2",
        "use the policy preferred, or devices on the guest's nodes",
        is_too_far=True,
    )


def test_hole_9_each_unit_comes_from_the_provider_that_its_allocation_names() -> None:
    devices = [replace(vf(name), provider_id=name[0]) for name in ("p1", "p2", "q1", "q2")]
    wanted = replace(need("n", 3), providers=("q", "p", "q"))
    found = fit_devices([wanted], devices)
    assert not isinstance(found, Shortfall)
    assert [given.device.provider_id for given in sorted(found, key=lambda one: one.index)] == [
        *("q", "p", "q")
    ]
    assert isinstance(fit_devices([replace(wanted, providers=("q",) * 3)], devices), Shortfall)


def test_trusted_devices_are_kept_for_those_who_ask() -> None:
    devices = [vf("a", tags={"trusted": "true"}), vf("b")]
    assert names(fit_devices([need("n")], devices)) == ["b"]

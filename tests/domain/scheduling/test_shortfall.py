"""What would help where devices are short."""

from dataclasses import replace
from typing import Any

import pytest

from domain.scheduling.hosts import need, vf
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import Locality

CLEANING, HELD = Standing.CLEANING, Standing.HELD


@pytest.mark.parametrize(
    ("count", "others", "wait", "delete"),
    [
        (1, (CLEANING, HELD), True, False),
        (2, (CLEANING, HELD), True, True),
        (2, (HELD, HELD), False, True),
        (1, (Standing.MISSING, CLEANING), True, False),
    ],
)
def test_the_remedy_frees_as_many_as_are_missing_by_the_easiest_means(
    count: int, others: tuple[Standing, ...], *, wait: bool, delete: bool
) -> None:
    devices = [vf(f"d{place}", standing=one) for place, one in enumerate(others)]
    found = fit_devices([need("a1", count)], devices)
    assert isinstance(found, Shortfall)
    assert ("wait until the cleaning is done" in found.remedy) == wait
    assert ("delete a server that holds such a device" in found.remedy) == delete


def test_what_is_missing_is_named_and_never_given() -> None:
    found = fit_devices([need("a1")], [vf("d", standing=Standing.MISSING)])
    assert isinstance(found, Shortfall)
    assert found.reason == "a1 needs 1; of 1 that fit 0 are free, 1 are missing"


def test_a_device_that_would_need_another_kind_of_hardware_is_no_matter_of_tags() -> None:
    """Two things are wrong with the nearest, and only one of them is its entry's."""
    wanted = need("port", physical_network="physnet1", whole=True)
    found = fit_devices([wanted], [replace(vf("d"), pf_id=None)])
    assert isinstance(found, Shortfall)
    assert found.remedy.startswith("list a whole PF in [pci] device_spec of this host with")


def test_who_wants_a_whole_card_where_its_vfs_are_listed_is_told_so() -> None:
    wanted = need("port", physical_network="physnet1", whole=True)
    mine, other = ({"physical_network": name} for name in ("PHYSNET1", "physnet2"))
    held: Any = {"standing": Standing.HELD, "parts_held": 1}
    found = fit_devices(
        [wanted],
        [
            vf("d", "p1", tags=mine),
            vf("e", "p2", tags=mine, **held),
            vf("f", "p3", tags=other, **held),
            vf("g", "p4", **held),
        ],
    )
    assert isinstance(found, Shortfall)
    assert found.remedy == (
        "list a whole PF in [pci] device_spec of this host in the place of its VFs "
        'with "physical_network": "physnet1" in its entry '
        "(2 PFs here have such VFs that are listed)"
    )
    found = fit_devices([wanted], [vf("e", "p2", tags=mine, **held), vf("f", tags=other, **held)])
    assert isinstance(found, Shortfall)
    assert found.remedy.startswith("delete the servers that hold 1 of these VFs, list a whole PF")
    found = fit_devices([wanted], [vf("f", "p3", tags=other, **held)])
    assert isinstance(found, Shortfall)
    assert found.remedy == (
        "list a whole PF in [pci] device_spec of this host "
        'with "physical_network": "physnet1" in its entry'
    )


def strict() -> DeviceNeed:
    wanted = need("a1")
    return replace(wanted, request=replace(wanted.request, numa_policy=NumaPolicy.REQUIRED))


TWO_SOCKETS = Locality(frozenset({0}), {0: 0, 1: 1})
ONE_SOCKET = Locality(frozenset({0}), {0: 0, 1: 0})


@pytest.mark.parametrize(
    ("guest", "node", "policies", "where"),
    [
        (TWO_SOCKETS, 1, "preferred", "node 1"),
        (ONE_SOCKET, 1, "socket or preferred", "node 1"),
        (TWO_SOCKETS, None, "legacy or preferred", "no node that the host names"),
    ],
)
def test_only_policies_that_would_help_are_named(
    guest: Locality, node: int | None, policies: str, where: str
) -> None:
    wanted = strict()
    found = fit_devices([wanted], [replace(vf("d"), numa_node=node)], guest)
    assert isinstance(found, Shortfall)
    assert found.remedy == f"use the policy {policies}, or devices on the guest's nodes"
    assert found.reason.endswith(f"the guest is on node 0, the others on {where}")


def test_what_cannot_be_had_is_not_short_for_its_node() -> None:
    spent = replace(vf("d", standing=Standing.SPENT), numa_node=1)
    wanted = strict()
    found = fit_devices([wanted], [spent], TWO_SOCKETS)
    assert isinstance(found, Shortfall)
    assert found.reason == "a1 needs 1; of 1 that fit 0 are free, 1 are spent (one-time-use)"

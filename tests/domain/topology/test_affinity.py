"""NUMA policies, by the Nova guide's example: two sockets with two nodes each."""

from __future__ import annotations

from itertools import combinations

import pytest

from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.topology.affinity import ANYWHERE, Distance, Locality

SOCKETS = {0: 0, 1: 0, 2: 1, 3: 1}


@pytest.mark.parametrize("nodes", list(combinations(range(4), 2)))
def test_the_guides_six_pairs_with_a_device_on_node_0(nodes: tuple[int, int]) -> None:
    guest = Locality(frozenset(nodes), SOCKETS)
    is_local, is_near = 0 in nodes, 0 in nodes or 1 in nodes
    assert guest.allows(NumaPolicy.REQUIRED, 0) is is_local
    assert guest.allows(NumaPolicy.LEGACY, 0) is is_local
    assert guest.allows(NumaPolicy.SOCKET, 0) is is_near
    assert guest.allows(NumaPolicy.PREFERRED, 0)


@pytest.mark.parametrize("node", [None, -1])
def test_hole_18_no_node_and_node_minus_one_are_the_same(node: int | None) -> None:
    guest = Locality(frozenset({0}), SOCKETS)
    assert guest.distance(node) is Distance.UNKNOWN
    allowed = {policy for policy in NumaPolicy if guest.allows(policy, node)}
    assert allowed == {NumaPolicy.LEGACY, NumaPolicy.PREFERRED}


def test_sockets_count_only_where_all_are_known() -> None:
    guest = Locality(frozenset({0}), {0: 0, 1: 0, 2: None})
    assert guest.distance(1) is Distance.REMOTE
    assert guest.distance(0) is Distance.LOCAL


def test_a_guest_without_topology_is_everywhere() -> None:
    assert all(ANYWHERE.allows(policy, node) for policy in NumaPolicy for node in (None, 0, 7))

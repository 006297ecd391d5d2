"""Guest cells on host cells: the first that has room and suits, and never an endless search."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.topology.placing import GuestCell, HostCell, in_order, place_cells


def host(number: int, cpus: int = 4, memory_mib: int = 4096) -> HostCell:
    return HostCell(
        id=number,
        socket=number // 2,
        free_cpus=frozenset(range(cpus)),
        memory_mib=4096,
        memory_free_mib=memory_mib,
    )


ONE = GuestCell(vcpus=2, memory_mib=512, is_dedicated=True)


@pytest.mark.parametrize(
    ("wants_devices", "pack", "order"),
    [(True, False, [1, 2, 0]), (False, False, [2, 0, 1]), (False, True, [0, 2, 1])],
)
def test_devices_come_first_then_room(wants_devices: bool, pack: bool, order: list[int]) -> None:
    cells = [host(0, cpus=2), host(1), host(2)]
    found = in_order(cells, [ONE], {1: 3}, wants_devices=wants_devices, pack=pack)
    assert [cell.id for cell in found] == order


def test_a_guest_that_takes_all_cells_has_no_choice() -> None:
    cells = [host(0), host(1)]
    assert in_order(cells, [ONE, ONE], {1: 3}, wants_devices=True) == cells


def test_a_search_that_ends_in_nothing_ends() -> None:
    cells = [host(number) for number in range(16)]
    asked: list[frozenset[int]] = []

    def suits(nodes: frozenset[int]) -> bool:
        asked.append(nodes)
        return False

    assert place_cells([ONE] * 8, cells, suits) is None
    assert len(asked) == len(set(asked)) == 12_870  # each choice of 8 of the 16, once


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sets(st.integers(0, 3)),
)
def test_what_is_found_is_the_first_of_all_orders(
    free: list[int], wanted: list[int], bad: set[int]
) -> None:
    cells = [host(number, cpus) for number, cpus in enumerate(free)]
    guest = [GuestCell(vcpus=one, memory_mib=1, is_dedicated=True) for one in wanted]
    first = next(
        (
            tuple(cell.id for cell in order)
            for order in permutations(cells, len(guest))
            if all(cell.has_room(one) for cell, one in zip(order, guest, strict=True))
            and not bad & {cell.id for cell in order}
        ),
        None,
    )
    assert place_cells(guest, cells, lambda nodes: not bad & nodes) == first

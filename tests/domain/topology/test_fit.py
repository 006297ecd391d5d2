"""Guests' cells on hosts' cells: nothing twice, sums right, and no for good reason only."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.topology.guests import guests
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell, pages_of
from lanekeeper.domain.topology.fit import Seat, seatings, why_not
from lanekeeper.domain.topology.guest import (
    CpuPolicy,
    EmulatorPolicy,
    GuestCell,
    GuestTopology,
    ThreadPolicy,
)
from lanekeeper.domain.topology.page_size import PageWish

MIB = 1024


@st.composite
def host_cells(draw: st.DrawFn) -> tuple[HostCell, ...]:
    threads = draw(st.sampled_from([1, 2]))
    cores = draw(st.integers(1, 4))
    cells = []
    for node in range(draw(st.integers(1, 4))):
        first = node * cores * threads
        siblings = tuple(
            frozenset(range(first + core * threads, first + (core + 1) * threads))
            for core in range(cores)
        )
        cpus = sorted(frozenset().union(*siblings))
        pinned = draw(st.frozensets(st.sampled_from(cpus)))
        total = draw(st.integers(0, 4)) * MIB
        cells.append(
            HostCell(
                id=node,
                socket=draw(st.sampled_from([0, 1])),
                dedicated=draw(st.sampled_from([frozenset(cpus), frozenset(cpus[:2])])),
                pinned=pinned,
                siblings=siblings,
                amounts={
                    MEMORY: Amount(total, 2 * total, draw(st.integers(0, total))),
                    VCPUS: Amount(2, 4, draw(st.integers(0, 4))),
                    pages_of(2048): Amount(1024, 1024, draw(st.integers(0, 1024))),
                    pages_of(1048576): Amount(2, 2, draw(st.integers(0, 2))),
                },
            )
        )
    return tuple(cells)


def first_way(guest: GuestTopology, cells: tuple[HostCell, ...]) -> tuple[Seat, ...] | None:
    return next(seatings(guest, cells, devices={}, wants_devices=False), None)


def holds(guest: GuestTopology, index: int, cell: HostCell) -> bool:
    """The rules once more, said by counting."""
    asked = guest.cells[index]
    floats = not asked.shared or cell.amount(VCPUS).fits(len(asked.shared), shared=True)
    return floats and has_cpus(guest, index, cell) and has_memory(guest, asked.memory_mib, cell)


def has_cpus(guest: GuestTopology, index: int, cell: HostCell) -> bool:
    pins = len(guest.cells[index].pinned)
    wanted, free = pins + guest.reserved(index), cell.dedicated - cell.pinned
    if wanted and guest.thread_policy is ThreadPolicy.ISOLATE and cell.threads > 1:
        return False
    if wanted and guest.thread_policy is ThreadPolicy.REQUIRE:
        pairs = sum(len(core & free) == 2 for core in cell.siblings)
        return pins <= 2 * pairs and wanted <= len(free)
    return wanted <= len(free)


def has_memory(guest: GuestTopology, memory_mib: int, cell: HostCell) -> bool:
    if guest.pages is None:
        return cell.amount(MEMORY).fits(memory_mib, shared=not guest.is_pinned)
    sizes = {PageWish.SMALL: [4], PageWish.LARGE: [1048576, 2048]}
    sizes[PageWish.ANY] = [*sizes[PageWish.LARGE], 4]
    asked = sizes[guest.pages] if isinstance(guest.pages, PageWish) else [guest.pages]
    return any(
        memory_mib * 1024 % size == 0
        and memory_mib * 1024
        <= cell.amount(MEMORY if size == 4 else pages_of(size)).free(shared=False)
        * (1024 if size == 4 else size)
        for size in asked
    )


@given(guests(), host_cells())
def test_a_way_takes_nothing_twice_and_no_more_than_there_is(
    guest: GuestTopology, cells: tuple[HostCell, ...]
) -> None:
    for seats in seatings(guest, cells, devices={}, wants_devices=False):
        by_id = {cell.id: cell for cell in cells}
        assert len({seat.host_cell for seat in seats}) == len(guest.cells) == len(seats)
        cpus = [cpu for seat in seats for cpu in seat.cpus]
        assert not [cpu for cpu, times in Counter(cpus).items() if times > 1]
        assert len(cpus) == (guest.pcpus if guest.is_pinned else 0)
        assert sum(len(seat.shared) for seat in seats) == guest.vcpus
        assert sum(seat.memory_mib for seat in seats) == sum(c.memory_mib for c in guest.cells)
        for seat in seats:
            cell, asked = by_id[seat.host_cell], guest.cells[seat.guest_cell]
            assert set(seat.cpus) <= cell.free_cpus
            assert set(seat.pins) == asked.pinned
            assert set(seat.shared) == asked.shared
            for take in seat.takes:
                assert cell.amount(take.what).fits(take.amount, shared=take.shared)


@given(guests(), host_cells())
def test_it_is_yes_exactly_when_some_order_of_cells_holds(
    guest: GuestTopology, cells: tuple[HostCell, ...]
) -> None:
    possible = any(
        all(holds(guest, index, cell) for index, cell in enumerate(order))
        for order in permutations(cells, len(guest.cells))
    )
    assert (first_way(guest, cells) is not None) is possible
    if not possible:
        miss = why_not(guest, cells)
        assert miss.reason
        assert miss.remedy


@given(guests(), host_cells())
def test_cells_of_one_shape_answer_alike(guest: GuestTopology, cells: tuple[HostCell, ...]) -> None:
    moved = tuple(
        HostCell(
            id=cell.id,
            socket=cell.socket,
            dedicated=frozenset(cpu + 100 for cpu in cell.dedicated),
            pinned=frozenset(cpu + 100 for cpu in cell.pinned),
            siblings=tuple(frozenset(cpu + 100 for cpu in core) for core in cell.siblings[::-1]),
            amounts=cell.amounts,
        )
        for cell in cells
    )
    assert [cell.shape for cell in moved] == [cell.shape for cell in cells]
    here, there = first_way(guest, cells), first_way(guest, moved)
    assert (here is None) is (there is None)
    if here is None:
        assert why_not(guest, cells) == why_not(guest, moved)
    elif there is not None:
        assert [seat.host_cell for seat in here] == [seat.host_cell for seat in there]


def pinned_cell(pinned: int, *, threads: int = 1) -> HostCell:
    cpus = range(4)
    return HostCell(
        id=0,
        dedicated=frozenset(cpus),
        pinned=frozenset(range(pinned)),
        siblings=tuple(frozenset(range(first, first + threads)) for first in range(0, 4, threads)),
        amounts={MEMORY: Amount(1024, 1024)},
    )


def pinned_guest(vcpus: int, memory_mib: int = 512, **more: object) -> GuestTopology:
    cell = GuestCell(frozenset(), frozenset(range(vcpus)), memory_mib)
    return GuestTopology(cells=(cell,), cpu_policy=CpuPolicy.DEDICATED, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("guest", "cells", "reason", "remedy"),
    [
        (pinned_guest(2), (), "tells of no NUMA cells", "bring its agent up to date"),
        (pinned_guest(4), (pinned_cell(1),), "3 of 4 CPUs for pinning free, 4 needed", "delete"),
        (pinned_guest(1, 2048), (pinned_cell(0),), "1024 of 1024 MiB of memory free, 2048 needed",
         "smaller cells"),
        (pinned_guest(1), (HostCell(id=0, amounts={MEMORY: Amount(1024, 1024)}),),
         "cell 0 has no CPUs for pinning", "cpu_dedicated_set"),
        (pinned_guest(2, thread_policy=ThreadPolicy.ISOLATE), (pinned_cell(0, threads=2),),
         "cores of 2 threads", "SMT off"),
        (pinned_guest(2, thread_policy=ThreadPolicy.REQUIRE), (pinned_cell(0),),
         "not 2 on cores of which several threads are free", "prefer"),
        (pinned_guest(1, pages=PageWish.LARGE), (pinned_cell(0),), "has no huge pages at all",
         "keep huge pages"),
        (pinned_guest(1, 511, pages=2048), (pinned_cell(0),), "cannot make 511 MiB of whole pages",
         "multiple of the page size"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_numbers_and_what_would_help(
    guest: GuestTopology, cells: tuple[HostCell, ...], reason: str, remedy: str
) -> None:
    assert first_way(guest, cells) is None
    miss = why_not(guest, cells)
    assert reason in miss.reason
    assert remedy in miss.remedy


def test_the_hypervisors_threads_get_a_cpu_beside_the_first_cell() -> None:
    guest = pinned_guest(2, emulator=EmulatorPolicy.ISOLATE)
    seats = first_way(guest, (pinned_cell(1),))
    assert seats is not None
    assert (dict(seats[0].pins), seats[0].reserved) == ({0: 1, 1: 2}, (3,))
    assert first_way(guest, (pinned_cell(2),)) is None


def test_whole_cores_come_before_single_threads() -> None:
    cell = HostCell(
        id=0,
        dedicated=frozenset(range(6)),
        pinned=frozenset({0}),
        siblings=(frozenset({0, 3}), frozenset({1, 4}), frozenset({2, 5})),
        amounts={MEMORY: Amount(1024, 1024)},
    )
    seats = first_way(pinned_guest(4), (cell,))
    assert seats is not None
    assert seats[0].cpus == (1, 2, 4, 5)
    assert first_way(pinned_guest(5), (cell,)) is not None
    assert first_way(pinned_guest(6), (cell,)) is None

"""Which CPUs of its cells a host tells the controller to give to guests."""

from __future__ import annotations

from lanekeeper.agent.cells import cells, cpus_not_there, for_guests, with_cpus
from lanekeeper.config.tree import Cpus
from lanekeeper.domain.hostplan.observed import NumaNode
from lanekeeper.domain.topology.page_size import ReservedPages
from lanekeeper.protocol import NumaCell, PagesFact

NODES = (
    NumaNode(
        number=0,
        cpus=(0, 1, 2, 3),
        memory_mib=2048,
        huge_pages={2048: (16, 3), 1048576: (0, 0)},
        socket=0,
        siblings=((0, 2), (1, 3)),
    ),
    NumaNode(number=1, cpus=(), memory_mib=0),
)


def test_cells_are_the_kernels_nodes_but_for_empty_ones() -> None:
    assert cells(NODES) == [
        NumaCell(
            id=0,
            cpus=[0, 1, 2, 3],
            memory_mib=2048,
            socket=0,
            siblings=[[0, 2], [1, 3]],
            pages=[PagesFact(size_kib=2048, total=16)],
        )
    ]


def test_without_sets_guests_float_over_every_cpu() -> None:
    (cell,) = cells(NODES)
    assert with_cpus(cell, Cpus()) == cell
    assert (cell.dedicated, cell.shared) == ([], None)


def test_with_a_dedicated_set_alone_no_guest_floats() -> None:
    cell = with_cpus(cells(NODES)[0], Cpus(cpu_dedicated_set=frozenset({2, 3, 9})))
    assert (cell.dedicated, cell.shared) == ([2, 3], [])


def test_cpus_that_are_not_there_are_named() -> None:
    cpus = Cpus(cpu_dedicated_set=frozenset({2, 3, 8, 9}), cpu_shared_set=frozenset({0}))
    (problem,) = cpus_not_there(cells(NODES), cpus)
    assert problem == "[compute] cpu_dedicated_set names CPU 8-9, which is not online here"


def test_pages_that_are_kept_are_no_guests() -> None:
    kept = (ReservedPages(0, 2048, 6), ReservedPages(0, 4, 512), ReservedPages(1, 2048, 9))
    cell = for_guests(cells(NODES)[0], Cpus(reserved_huge_pages=kept))
    assert (cell.pages, cell.memory_mib) == ([PagesFact(size_kib=2048, total=10)], 2048 - 12 - 2)
    more = Cpus(reserved_huge_pages=(ReservedPages(0, 2048, 99999),))
    assert for_guests(cells(NODES)[0], more).pages == [PagesFact(size_kib=2048, total=0)]

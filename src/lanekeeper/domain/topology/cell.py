"""NUMA cells of a host: what belongs together there, and what of it is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

VCPUS = "vcpus"
"""Guests' CPUs that float over a cell's shared CPUs."""
MEMORY = "memory_mib"
"""Memory in pages of the smallest size."""
SMALL_KIB = 4
_PAGES = "pages_"


def pages_of(size_kib: int) -> str:
    """Name the pages of one size, of which a cell has so many."""
    return f"{_PAGES}{size_kib}"


@dataclass(frozen=True, slots=True)
class Amount:
    """What a cell has of something.

    Attributes:
        total: what is there; no guest alone gets more, nor any that does not share.
        capacity: what may be lent out to guests that share.
    """

    total: int
    capacity: int
    used: int = 0

    def free(self, *, shared: bool) -> int:
        """May be below zero, when it was lowered."""
        return (self.capacity if shared else self.total) - self.used

    def fits(self, wanted: int, *, shared: bool) -> bool:
        return wanted <= self.total and wanted <= self.free(shared=shared)


NOTHING = Amount(0, 0)
CellShape = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCell:
    """One NUMA node of a host. A fact of one moment, never edited.

    Attributes:
        socket: None where the host does not tell.
        dedicated: CPUs that are given to one guest's CPU each; pinned: those that are.
        siblings: sets of CPUs that are threads of one core; a CPU in none is a core of its own.
        amounts: by ``VCPUS``, ``MEMORY`` and ``pages_of`` each size.
    """

    id: int
    socket: int | None = None
    dedicated: frozenset[int] = frozenset()
    pinned: frozenset[int] = frozenset()
    siblings: tuple[frozenset[int], ...] = ()
    amounts: Mapping[str, Amount] = field(default_factory=dict)

    def amount(self, what: str) -> Amount:
        return self.amounts.get(what, NOTHING)

    @property
    def page_sizes(self) -> tuple[int, ...]:
        """Of pages larger than the smallest, in KiB, the largest first."""
        sizes = (int(what.removeprefix(_PAGES)) for what in self.amounts if what.startswith(_PAGES))
        return tuple(sorted(sizes, reverse=True))

    @property
    def free_cpus(self) -> frozenset[int]:
        """Those that could be given to one guest's CPU."""
        return self.dedicated - self.pinned

    @property
    def threads(self) -> int:
        """How many a core has."""
        return max(map(len, self.siblings), default=1) or 1

    @property
    def free_cores(self) -> tuple[tuple[int, ...], ...]:
        """What is free for pinning, core by core."""
        known = frozenset().union(*self.siblings)
        cores = [*self.siblings, *(frozenset({cpu}) for cpu in self.dedicated - known)]
        free = (tuple(sorted(core & self.free_cpus)) for core in cores)
        return tuple(sorted(core for core in free if core))

    def emptied(self) -> HostCell:
        """What it would be without guests."""
        amounts = {what: replace(one, used=0) for what, one in self.amounts.items()}
        return replace(self, pinned=frozenset(), amounts=amounts)

    @property
    def shape(self) -> CellShape:
        """What it has and how that stands, without the CPUs' numbers: cells of one shape do alike.

        How many threads are free on how many cores is all that pinning asks.
        """
        cores = Counter(map(len, self.free_cores))
        return (
            self.id,
            self.socket,
            len(self.dedicated),
            self.threads,
            tuple(sorted(cores.items())),
            tuple(sorted((what, *_of(amount)) for what, amount in self.amounts.items())),
        )


def _of(amount: Amount) -> tuple[int, int, int]:
    return amount.total, amount.capacity, amount.used

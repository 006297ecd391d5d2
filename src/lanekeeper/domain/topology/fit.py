"""Which cells of a host take a guest's cells, or why none do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from lanekeeper.domain.matching import match_all
from lanekeeper.domain.topology.cell import (
    MEMORY,
    SMALL_KIB,
    VCPUS,
    HostCell,
    pages_of,
)
from lanekeeper.domain.topology.guest import (
    GuestCell,
    GuestTopology,
    ThreadPolicy,
)
from lanekeeper.domain.topology.page_size import PageWish
from lanekeeper.domain.topology.pinning import Pinning, pin

_KIB = 1024
_CHOICES_MAX = 20_000
"""Sets of cells that are looked at; hosts have at most 8 cells as a rule, that is 70 sets."""


@dataclass(frozen=True, slots=True)
class Take:
    """So much of something that a cell has; with *shared* up to its capacity, else its total."""

    what: str
    amount: int
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one cell of a guest goes, and what it takes there.

    Attributes:
        shared: the guest's CPUs that float over the host cell's shared ones.
        pins: guest's CPU to host's CPU.
        reserved: host's CPUs for the hypervisor's own threads.
        page_kib: size of the pages; None leaves it to the host.
    """

    guest_cell: int
    host_cell: int
    shared: tuple[int, ...]
    pins: Mapping[int, int]
    reserved: tuple[int, ...]
    memory_mib: int
    page_kib: int | None
    takes: tuple[Take, ...]

    @property
    def cpus(self) -> tuple[int, ...]:
        """The host's CPUs that nobody else gets."""
        return tuple(sorted((*self.pins.values(), *self.reserved)))


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a cell does not do, and what would help."""

    reason: str
    remedy: str


def seatings(
    guest: GuestTopology,
    cells: Sequence[HostCell],
    *,
    devices: Mapping[int, int],
    wants_devices: bool,
    kinds: Callable[[], Mapping[int, Hashable]] = dict,
    pack: bool = False,
) -> Iterator[tuple[Seat, ...]]:
    """Yield ways to seat the guest, the best first; each guest cell has a host cell of its own.

    As in Nova, a guest that wants devices gets the cells with most of them, one that does not
    those with fewest; then cells with more free CPUs, then with more free memory.

    Args:
        guest: what is asked for.
        cells: the host's.
        devices: free devices by the cell that they are near to.
        wants_devices: whether the guest wants any.
        kinds: says of each cell what is near to it; ways that differ in nothing are tried once.
        pack: cells with fewer free CPUs and less free memory come first instead.

    Source: nova ``virt/hardware.py``, numa_fit_instance_to_host.
    """
    order = _in_order(guest, cells, devices, wants_devices=wants_devices, pack=pack)
    found = {cell.id: _seats(guest, cell) for cell in order}
    useful = [cell for cell in order if any(isinstance(one, Seat) for one in found[cell.id])]
    near = kinds() if len(useful) > len(guest.cells) else {}
    tried: set[Hashable] = set()
    for chosen in islice(combinations(useful, len(guest.cells)), _CHOICES_MAX):
        alike = _alike(chosen, found, near)
        if alike in tried:
            continue
        tried.add(alike)
        columns = [found[cell.id] for cell in chosen]
        wishes = [
            [place for place, column in enumerate(columns) if isinstance(column[index], Seat)]
            for index in range(len(guest.cells))
        ]
        given = match_all(wishes)
        if given is not None:
            seats = (columns[place][index] for index, place in enumerate(given))
            yield tuple(seat for seat in seats if isinstance(seat, Seat))


def _alike(
    chosen: Sequence[HostCell],
    found: Mapping[int, Sequence[Seat | Misfit]],
    kinds: Mapping[int, Hashable],
) -> Hashable:
    return frozenset(
        Counter(
            (
                cell.socket,
                kinds.get(cell.id),
                tuple(isinstance(one, Seat) for one in found[cell.id]),
            )
            for cell in chosen
        ).items()
    )


def _in_order(
    guest: GuestTopology,
    cells: Sequence[HostCell],
    devices: Mapping[int, int],
    *,
    wants_devices: bool,
    pack: bool,
) -> list[HostCell]:
    if len(cells) <= len(guest.cells):
        return list(cells)  # all of them are needed: the guest's order is the host's

    def rank(cell: HostCell) -> tuple[int, int, int, int]:
        near = devices.get(cell.id, 0)
        cpus = len(cell.free_cpus) if guest.is_pinned else -cell.amount(VCPUS).used
        memory = cell.amount(MEMORY).free(shared=False)
        sign = 1 if pack else -1
        return (-near if wants_devices else near, sign * cpus, sign * memory, cell.id)

    return sorted(cells, key=rank)


def why_not(guest: GuestTopology, cells: Sequence[HostCell]) -> Misfit:
    """Say why ``seatings`` has nothing to yield."""
    if not cells:
        return Misfit(
            "tells of no NUMA cells, and the guest asks for some",
            "bring its agent up to date, and see what lanekeeper host show says there",
        )
    if len(cells) < len(guest.cells):
        return Misfit(
            f"has {len(cells)} NUMA cells, {len(guest.cells)} needed",
            "use a flavor with fewer hw:numa_nodes",
        )
    for index in range(len(guest.cells)):
        misses = [(cell, _seat(guest, index, cell)) for cell in cells]
        reasons = [(cell, one) for cell, one in misses if isinstance(one, Misfit)]
        if len(reasons) == len(cells):
            said = "; ".join(f"cell {cell.id} {one.reason}" for cell, one in reasons)
            remedies = Counter(one.remedy for _, one in reasons)
            (remedy, _), *_ = remedies.most_common(1)
            return Misfit(f"has no NUMA cell for the guest's cell {index}: {said}", remedy)
    return Misfit(
        f"has cells for each of the guest's {len(guest.cells)}, and not for all at the same time",
        "use a flavor with fewer hw:numa_nodes or smaller cells, or delete servers",
    )


def misfit(guest: GuestTopology, index: int, cell: HostCell) -> Misfit | None:
    """Why a cell of the guest does not go onto this one; None where it does."""
    found = _seat(guest, index, cell)
    return found if isinstance(found, Misfit) else None


def _seats(guest: GuestTopology, cell: HostCell) -> list[Seat | Misfit]:
    return [_seat(guest, index, cell) for index in range(len(guest.cells))]


def _seat(guest: GuestTopology, index: int, cell: HostCell) -> Seat | Misfit:
    asked = guest.cells[index]
    memory = _memory(guest, asked, cell)
    if isinstance(memory, Misfit):
        return memory
    page_kib, memory_take = memory
    takes = [memory_take]
    if asked.shared:
        floating = Take(VCPUS, len(asked.shared), shared=True)
        if missing := _missing(cell, floating, "shared CPUs"):
            return missing
        takes.append(floating)
    pinning = _pinning(guest, index, cell)
    if isinstance(pinning, Misfit):
        return pinning
    return Seat(
        guest_cell=index,
        host_cell=cell.id,
        shared=tuple(sorted(asked.shared)),
        pins=pinning.pins,
        reserved=pinning.reserved,
        memory_mib=asked.memory_mib,
        page_kib=page_kib,
        takes=tuple(takes),
    )


def _memory(
    guest: GuestTopology, asked: GuestCell, cell: HostCell
) -> tuple[int | None, Take] | Misfit:
    """The page size, and how much of what is taken; the largest pages that do."""
    if guest.pages is None:
        # Guests with pinned CPUs never share memory: Nova's rule, from when it was new.
        take = Take(MEMORY, asked.memory_mib, shared=not guest.is_pinned)
        return _missing(cell, take, "MiB of memory") or (None, take)
    misses: list[Misfit] = []
    for size in _sizes(guest, cell):
        small = size == SMALL_KIB
        if asked.memory_mib * _KIB % size:
            misses.append(_uneven(asked.memory_mib, size))
            continue
        amount = asked.memory_mib if small else asked.memory_mib * _KIB // size
        take = Take(MEMORY if small else pages_of(size), amount, shared=False)
        words = "MiB of small pages" if small else f"pages of {size} KiB"
        missing = _missing(cell, take, words)
        if missing is None:
            return size, take
        misses.append(missing)
    return misses[0] if misses else _NO_PAGES


def _sizes(guest: GuestTopology, cell: HostCell) -> tuple[int, ...]:
    match guest.pages:
        case PageWish.SMALL:
            return (SMALL_KIB,)
        case PageWish.LARGE:
            return cell.page_sizes
        case int(size):
            return (size,)
        case _:
            return (*cell.page_sizes, SMALL_KIB)


_NO_PAGES = Misfit(
    "has no huge pages at all", "keep huge pages on that host: hugepages in its policy"
)


def _uneven(memory_mib: int, size_kib: int) -> Misfit:
    return Misfit(
        f"cannot make {memory_mib} MiB of whole pages of {size_kib} KiB",
        "use a flavor whose memory a cell is a multiple of the page size",
    )


def _missing(cell: HostCell, take: Take, words: str) -> Misfit | None:
    there = cell.amount(take.what)
    if there.fits(take.amount, shared=take.shared):
        return None
    free = max(min(there.free(shared=take.shared), there.total), 0)
    return Misfit(
        f"has {free} of {there.total} {words} free, {take.amount} needed",
        "keep more huge pages on that host, or delete servers"
        if "pages" in take.what
        else "use smaller cells, delete servers, or add a host",
    )


def _pinning(guest: GuestTopology, index: int, cell: HostCell) -> Pinning | Misfit:
    asked, reserve = guest.cells[index].pinned, guest.reserved(index)
    wanted, free = len(asked) + reserve, len(cell.free_cpus) if asked or reserve else 0
    if wanted > free:
        return _too_few(cell, free, wanted)
    found = pin(cell, asked, guest.thread_policy, reserve) if wanted else Pinning({})
    if found is not None:
        return found
    if guest.thread_policy is ThreadPolicy.ISOLATE:
        return Misfit(
            f"has cores of {cell.threads} threads, and hw:cpu_thread_policy isolate takes cores "
            "of one",
            "switch SMT off on a host, or use hw:cpu_thread_policy require or prefer",
        )
    return Misfit(
        f"has {free} CPUs for pinning free, and not {wanted} on cores of which several threads are "
        "free, as hw:cpu_thread_policy require asks",
        "use hw:cpu_thread_policy prefer, or a host whose cores have several threads",
    )


def _too_few(cell: HostCell, free: int, wanted: int) -> Misfit:
    if not cell.dedicated:
        return Misfit(
            "has no CPUs for pinning", "name some in [compute] cpu_dedicated_set of that host"
        )
    return Misfit(
        f"has {free} of {len(cell.dedicated)} CPUs for pinning free, {wanted} needed",
        "use a smaller flavor, delete servers with pinned CPUs, or name more in [compute] "
        "cpu_dedicated_set",
    )

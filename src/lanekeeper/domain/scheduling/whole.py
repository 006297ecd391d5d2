"""Which PFs are given away whole, so that the VFs of the others serve who wants VFs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from lanekeeper.domain.scheduling.host import HostDevice
from lanekeeper.domain.scheduling.tries import Tries

Wishes = Sequence[Sequence[int]]
"""For each unit, positions in what is free of what would do, the best first."""


def whole_choices(
    whole: Wishes, parts: Wishes, free: Sequence[HostDevice], tries: Tries, *, promised: bool
) -> Iterator[list[int]]:
    """Yield a PF for each of *whole*, in every way that differs and may leave enough for *parts*.

    Args:
        whole: what each that is given a PF wishes for.
        parts: what each of the others wishes for.
        free: what there is.
        tries: one for each PF that is looked into.
        promised: whether it matters what bandwidth a card has left.
    """
    if not whole:
        yield []
        return
    yield from _Choices(whole, parts, free, tries, promised=promised).further(())


class _Choices:
    """PFs of one kind mean the same for everybody, so it matters only how many of which are taken.

    What cannot leave enough is not looked into: all of *parts*, and those of them who wish for the
    same, need as many as they are after the least that the PFs still to be taken may cost.
    """

    def __init__(
        self,
        whole: Wishes,
        parts: Wishes,
        free: Sequence[HostDevice],
        tries: Tries,
        *,
        promised: bool,
    ) -> None:
        self._whole, self._tries = whole, tries
        groups = Counter(tuple(some) for some in parts)
        self._wanted = [len(parts), *groups.values()]
        self._useful = [
            frozenset().union(*groups),
            *(frozenset(mine) for mine in groups),
        ]
        self._card = _cards(sorted({one for some in whole for one in some}), free)
        self._cost = {
            pf: [len(useful & things) for useful in self._useful]
            for pf, things in self._card.items()
        }
        self._least = [self._least_costs(place) for place in range(len(self._wanted))]
        self._kind = {pf: self._kind_of(pf, free, promised=promised) for pf in self._card}
        self._seen: set[tuple[object, ...]] = set()

    def _least_costs(self, place: int) -> list[int]:
        """What so many PFs cost at least, counted from none."""
        sums = [0]
        for cost in sorted(costs[place] for costs in self._cost.values()):
            sums.append(sums[-1] + cost)
        return sums

    def _kind_of(self, pf: int, free: Sequence[HostDevice], *, promised: bool) -> object:
        """What taking this PF means for everybody: who could have it, and what goes with it."""
        gone = Counter(
            (
                tuple(place for place, useful in enumerate(self._useful) if thing in useful),
                bandwidth.key if promised and (bandwidth := free[thing].bandwidth) else (),
            )
            for thing in self._card[pf]
        )
        takers = tuple(number for number, some in enumerate(self._whole) if pf in some)
        return takers, frozenset(gone.items())

    def further(self, taken: tuple[int, ...]) -> Iterator[list[int]]:
        """Yield what comes of these PFs, for the first units, and every choice for the rest."""
        if not self._leaves_enough(taken):
            return
        if len(taken) == len(self._whole):
            yield list(taken)
            return
        for pf in self._whole[len(taken)]:
            after = (*taken, pf)
            if pf in taken or self._was_seen(after):
                continue
            if not self._tries.take():
                return
            yield from self.further(after)

    def _was_seen(self, taken: Sequence[int]) -> bool:
        kinds = Counter(self._kind[pf] for pf in taken)
        state = (len(taken), frozenset(kinds.items()))
        if state in self._seen:
            return True
        self._seen.add(state)
        return False

    def _leaves_enough(self, taken: Sequence[int]) -> bool:
        still = len(self._whole) - len(taken)
        for place, wanted in enumerate(self._wanted):
            least = self._least[place]
            if still >= len(least):
                return False  # there are not so many PFs
            gone = sum(self._cost[pf][place] for pf in taken)
            if len(self._useful[place]) - gone - least[still] < wanted:
                return False
        return True


def _cards(pfs: Sequence[int], free: Sequence[HostDevice]) -> dict[int, frozenset[int]]:
    """By PF what nobody else can have then: itself, and its VFs."""
    mine: dict[str, set[int]] = defaultdict(set)
    for position, device in enumerate(free):
        mine[device.id].add(position)
        if device.pf_id is not None:
            mine[device.pf_id].add(position)
    return {pf: frozenset(mine[free[pf].id]) for pf in pfs}

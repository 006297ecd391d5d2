"""Devices that bring others along: what of it excludes each other, and how to choose then.

Who is given one function of a unit gets all of them (``domain.pci.unit``). So a PF may come along
with a choice that names another function, and its VFs are nobody's then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.scheduling.apart import are_apart
from lanekeeper.domain.scheduling.host import HostDevice
from lanekeeper.domain.scheduling.tries import Tries

_STEPS_MAX = 2_000
"""How often a device is tried for a wish before the search is given up."""
Units = Mapping[str, Sequence[HostDevice]]
"""What is given away together, by the unit's name."""


def units_of(devices: Iterable[HostDevice]) -> Units:
    found: dict[str, list[HostDevice]] = defaultdict(list)
    for one in devices:
        if one.unit is not None:
            found[one.unit].append(one)
    return found


def clash(chosen: Iterable[HostDevice], units: Units) -> bool:
    """Whether a PF and VFs of its card would be given together, named or brought along."""
    every = {one.id: one for mine in chosen for one in _with_mates(mine, units)}.values()
    whole = {one.id for one in every if one.offered.dev_type is DeviceType.PF}
    return any(one.pf_id in whole for one in every)


def _with_mates(device: HostDevice, units: Units) -> Sequence[HostDevice]:
    return (device,) if device.unit is None else units[device.unit]


def choose_tied(
    wishes: Sequence[Sequence[int]],
    free: Sequence[HostDevice],
    units: Units,
    tries: Tries,
    *,
    apart: bool = False,
    words: Sequence[str] = (),
) -> list[int] | None:
    """One device for each list of wishes, such that nothing clashes; None where there is no way.

    Args:
        wishes: positions in *free*, the best first, of what would do for each.
        free: what there is.
        units: what comes with what.
        tries: of several searches together, as in ``shared_cards``.
        apart: no two from one card.
        words: of each list; no two of one word that are not apart. Empty words, or none: any.

    The search is given up after ``_STEPS_MAX`` tries: there is no quick way, and who asks is a
    tenant.
    """
    words, mine = words or [""] * len(wishes), Tries(_STEPS_MAX, tries)
    return _Search(wishes, free, units, mine, apart=apart, words=words).run()


class _Search:
    """Tries one after the other; who has the least to choose from first.

    Of those who wish for the same, each gets something that is further down than what the one
    before has: in another order it would be the same choice once more.
    """

    def __init__(
        self,
        wishes: Sequence[Sequence[int]],
        free: Sequence[HostDevice],
        units: Units,
        tries: Tries,
        *,
        apart: bool,
        words: Sequence[str],
    ) -> None:
        self._wishes, self._free, self._units, self._apart = wishes, free, units, apart
        self._tries, self._words = tries, words
        self._order = sorted(range(len(wishes)), key=lambda number: len(wishes[number]))
        self._takers: dict[int, list[int]] = defaultdict(list)
        for number, some in enumerate(wishes):
            for position in some:
                self._takers[position].append(number)
        self._twin = self._twins()
        self._chosen: dict[int, int] = {}

    def _twins(self) -> dict[int, int]:
        """Who wishes for the same and chooses just before, for those who have such a one."""
        last: dict[tuple[str, tuple[int, ...]], int] = {}
        found = {}
        for number in self._order:
            mine = self._words[number], tuple(self._wishes[number])
            if mine in last:
                found[number] = last[mine]
            last[mine] = number
        return found

    def run(self) -> list[int] | None:
        if not self._from(0):
            return None
        return [self._chosen[number] for number in range(len(self._wishes))]

    def _from(self, step: int) -> bool:
        if step == len(self._order):
            return True
        number = self._order[step]
        tried: set[object] = set()
        for position in self._left(number):
            kind = self._kind(position)
            if kind in tried:
                continue
            if not self._tries.take():
                return False
            if not self._may_have(number, position):
                continue
            tried.add(kind)
            self._chosen[number] = position
            if self._from(step + 1):
                return True
            del self._chosen[number]
        return False

    def _left(self, number: int) -> Sequence[int]:
        mine, twin = self._wishes[number], self._twin.get(number)
        return mine if twin is None else mine[mine.index(self._chosen[twin]) + 1 :]

    def _may_have(self, number: int, position: int) -> bool:
        taken: Collection[int] = self._chosen.values()
        if position in taken:
            return False
        mine = self._free[position]
        others = [self._free[one] for one in taken]
        if self._apart and any(mine.card == one.card for one in others):
            return False
        if (word := self._words[number]) and not all(
            are_apart(mine, self._free[one])
            for other, one in self._chosen.items()
            if self._words[other] == word
        ):
            return False
        return not clash((mine, *others), self._units)

    def _kind(self, position: int) -> object:
        """Devices of one kind are interchangeable: if one of them leads nowhere, none does."""
        device = self._free[position]
        return device.card, device.unit, tuple(self._takers[position])

"""Bandwidth of cards: whether what ports are promised goes together on those that serve them.

A port has its bandwidth from the card that its VF is of, and from no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from lanekeeper.domain.network.promise import EGRESS, INGRESS, Promise
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.scheduling.tries import Tries

_WORDS: Mapping[str, str] = {EGRESS: "egress", INGRESS: "ingress"}
_STEPS_MAX = 2_000
"""How often a card is tried for a port before the search for ports that share cards is given up."""


@dataclass(frozen=True, slots=True)
class CardBandwidth:
    """What a card carries and what of it is promised.

    Attributes:
        provider_id: who has it in Placement.
        interface: the PF's, by which people know the card.
        inventories: resource class and what there is of it; one that is not there gives nothing.
    """

    provider_id: str
    interface: str
    inventories: tuple[tuple[str, Inventory], ...] = ()

    @property
    def key(self) -> tuple[tuple[str | float, ...], ...]:
        """Cards of one key promise alike; keys have an order."""
        return tuple((name, *astuple(one)) for name, one in self.inventories)

    def lacks(self, promise: Promise) -> str:
        """Say what the card lacks for *promise*; empty when it has all of it."""
        have = dict(self.inventories)
        told = (
            _lack(_WORDS[name], have.get(name), amount) for name, amount in promise.amounts.items()
        )
        said = " and ".join(filter(None, told))
        return f"PF {self.interface} {said}" if said else ""

    def after(self, promises: Iterable[Promise]) -> CardBandwidth:
        """The card once it has promised these, too."""
        more = dict.fromkeys(_WORDS, 0)
        for promise in promises:
            for name, amount in promise.amounts.items():
                more[name] += amount
        return replace(
            self,
            inventories=tuple(
                (name, replace(one, used=one.used + more[name])) for name, one in self.inventories
            ),
        )


def _lack(word: str, inventory: Inventory | None, amount: int) -> str:
    if inventory is None:
        return f"has no {word} bandwidth to promise, the port wants {amount:,} kbit/s"
    left = inventory.capacity - inventory.used
    if left < amount:
        return (
            f"has {max(left, 0):,} of {inventory.capacity:,} kbit/s {word} left, "
            f"the port wants {amount:,}"
        )
    if misfit := inventory.misfit(amount):
        return f"does not give {amount:,} kbit/s of {word}: {misfit}"
    return ""


def shared_cards(
    promises: Sequence[Promise],
    wishes: Sequence[Sequence[int]],
    card_of: Sequence[CardBandwidth | None],
    tries: Tries,
) -> Iterator[list[Sequence[int]]]:
    """Yield wishes that keep each port that is promised something to one card, so that all goes
    together on each card; the largest port chooses first, and takes the best it wishes for.

    Args:
        promises: of each unit.
        wishes: of each unit, positions of devices, the best first.
        card_of: the card of each device.
        tries: of several searches together, so many that each may still have its own; it tells
            where one of them ran out.

    The search is given up after ``_STEPS_MAX`` tries: packing has no quick way.
    """
    asking = [place for place, promise in enumerate(promises) if promise]
    if len(asking) < 2:  # noqa: PLR2004  # each wish alone has been looked at
        yield list(wishes)
        return
    kinds = {place: (promises[place], tuple(wishes[place])) for place in asking}
    asking.sort(key=lambda place: (-sum(promises[place].amounts.values()), kinds[place][1]))
    choices = [_by_card(wishes[place], card_of) for place in asking]
    if _is_too_much(promises, choices):
        return
    twins = [kinds[one] == kinds[other] for one, other in pairwise(asking)]
    mine = Tries(_STEPS_MAX, tries)
    packer = _Packer([promises[place] for place in asking], choices, [False, *twins], mine)
    for chosen in packer.pack():
        kept = list(wishes)
        for place, things in zip(asking, chosen, strict=True):
            kept[place] = things
        yield kept


_Cards = Mapping[str, tuple[CardBandwidth, list[int]]]
_Taken = Mapping[str, tuple[Promise, ...]]


def _is_too_much(promises: Iterable[Promise], choices: Sequence[_Cards]) -> bool:
    """Whether all cards together have less than is asked; saves the search where that is so."""
    cards = {name: card for mine in choices for name, (card, _) in mine.items()}
    asked = sum((Counter(promise.amounts) for promise in promises), Counter[str]())
    left = Counter[str]()
    for card in cards.values():
        left.update({name: one.capacity - one.used for name, one in card.inventories})
    return any(amount > left[name] for name, amount in asked.items())


def _by_card(wishes: Sequence[int], card_of: Sequence[CardBandwidth | None]) -> _Cards:
    """Cards and the wishes for devices of each, the best card first."""
    found: dict[str, tuple[CardBandwidth, list[int]]] = {}
    for thing in wishes:
        card = card_of[thing]
        assert card is not None, "who is promised bandwidth wishes for cards that have some"
        found.setdefault(card.provider_id, (card, []))[1].append(thing)
    return found


@dataclass(frozen=True, slots=True)
class _Packer:
    """Tries one port after the other.

    Attributes:
        is_twin: whether a port and the one before ask alike: it then takes no earlier card than
            that, which would be the same choice once more.
    """

    promises: Sequence[Promise]
    choices: Sequence[_Cards]
    is_twin: Sequence[bool]
    tries: Tries

    def pack(
        self, taken: _Taken = MappingProxyType({}), chosen: tuple[str, ...] = ()
    ) -> Iterator[list[list[int]]]:
        """Yield for each port the devices of the card that it is kept to."""
        port = len(chosen)
        if port == len(self.promises):
            yield [mine[name][1] for mine, name in zip(self.choices, chosen, strict=True)]
            return
        cards = self.choices[port]
        names = list(cards)
        for name in names[names.index(chosen[-1]) :] if self.is_twin[port] else names:
            if not self.tries.take():
                return
            (card, things), before = cards[name], taken.get(name, ())
            if len(before) >= len(things) or card.after(before).lacks(self.promises[port]):
                continue
            after = {**taken, name: (*before, self.promises[port])}
            yield from self.pack(after, (*chosen, name))

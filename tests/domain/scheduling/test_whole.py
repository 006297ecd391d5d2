"""PFs beside VFs: a way is found where there is one, whatever the addresses, and soon."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from domain.scheduling.hosts import STOCKS, need, pf, server, vf
from lanekeeper.domain.network.promise import EGRESS, NOTHING, Promise
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.scheduling import fit as fit_module
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView
from lanekeeper.domain.scheduling.selection import select_hosts
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.tries import Tries


def card(name: str, vfs: int, left: int, *, product_ids: Sequence[int] = (1,)) -> list[HostDevice]:
    """A PF whose VFs have these product ids in turn, and its bandwidth left."""
    stock = Inventory(total=10, used=10 - left)
    bandwidth = CardBandwidth(f"provider of {name}", name, ((EGRESS, stock),))
    parts = [
        vf(f"{name}v{number}", name, product_id=product_ids[number % len(product_ids)])
        for number in range(vfs)
    ]
    return [replace(one, bandwidth=bandwidth) for one in (pf(name), *parts)]


def asked(whole: int, parts: Sequence[int], product_id: int = 1) -> list[DeviceNeed]:
    """So many PFs, and a VF for each promise."""
    return [
        *(need(f"whole {number}", whole=True) for number in range(whole)),
        *(
            need(
                f"part {number}",
                product_ids=(product_id,),
                promise=Promise(promise) if promise else NOTHING,
            )
            for number, promise in enumerate(parts)
        ),
    ]


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[Tries]:
    """Those of the search for PFs, of each question."""
    made: list[Tries] = []

    def counted(left: int) -> Tries:
        made.append(Tries(left))
        return made[-1]

    monkeypatch.setattr(fit_module, "Tries", counted)
    return made


def test_one_vf_too_many_is_refused_at_once(tries: list[Tries]) -> None:
    here = [one for number in range(1, 11) for one in card(f"p{number:02}", number, 10)]
    for more, fits in ((0, True), (1, False)):
        tries.clear()
        found = fit_devices(asked(4, [0] * (55 - 10 + more)), here)
        assert isinstance(found, Shortfall) != fits
        assert 500 - tries[0].left == (4 if fits else 0)


def test_a_search_that_would_be_long_is_given_up_and_that_is_said() -> None:
    """No count tells that the promises go together in no way; each choice of PFs is another."""
    here = [
        one for number in range(16) for one in card(f"p{number:02}", number % 5 + 2, number % 8 + 3)
    ]
    found = fit_devices(asked(8, [2, 2, 2, 2, 3, 3, 3, 5, 5, 7, 7, 8, 9, 9]), here)
    assert isinstance(found, Shortfall)
    assert "was given up" in found.reason
    assert found.names[0] == "whole 0"


def answers(here: Sequence[HostDevice], needs: Sequence[DeviceNeed]) -> bool:
    return not isinstance(fit_devices(needs, here), Shortfall)


def named(here: Sequence[HostDevice], names: Mapping[str, str]) -> list[HostDevice]:
    """The same host with its cards at other addresses."""
    return [
        replace(one, address=names[one.pf_id or one.id] + one.address[len(one.pf_id or one.id) :])
        for one in here
    ]


_cards = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=4)


@settings(max_examples=size(80, 500))
@given(_cards, st.integers(0, 2), st.lists(st.integers(0, 3), max_size=4))
def test_a_way_is_found_exactly_when_there_is_one_wherever_the_cards_are(
    cards: list[tuple[int, int]], whole: int, promises: list[int]
) -> None:
    here = [one for number, each in enumerate(cards) for one in card(f"p{number}", *each)]
    needs, names = asked(whole, promises), [f"p{number}" for number in range(len(cards))]
    there_is = brute(cards, whole, promises)
    for order in permutations(names):
        moved = named(here, dict(zip(names, order, strict=True)))
        assert answers(moved, needs) == there_is
        shapes = {
            HostView(id="h", name="h", devices=tuple(one)).device_shape for one in (here, moved)
        }
        assert len(shapes) == 1


def brute(cards: Sequence[tuple[int, int]], whole: int, promises: Sequence[int]) -> bool:
    """Whether some choice of a card for each is right."""
    for taken in permutations(range(len(cards)), whole):
        rest = [number for number in range(len(cards)) if number not in taken]
        for chosen in product(rest, repeat=len(promises)):
            mine = {
                one: [p for c, p in zip(chosen, promises, strict=True) if c == one] for one in rest
            }
            if all(
                len(some) <= cards[one][0] and sum(some) <= cards[one][1]
                for one, some in mine.items()
            ):
                return True
    return False


@pytest.mark.parametrize("left", [(10, 4), (4, 10)])
def test_of_two_pfs_the_one_is_given_whole_whose_bandwidth_nobody_needs(
    left: tuple[int, int],
) -> None:
    here = [*card("p1", 4, left[0]), *card("p2", 4, left[1])]
    found = fit_devices(asked(1, [4, 4]), here)
    assert not isinstance(found, Shortfall)
    assert found[0].device.bandwidth is not None
    assert found[0].device.bandwidth.inventories[0][1].used == 6


def test_hosts_of_one_shape_are_chosen_alike_wherever_their_cards_are() -> None:
    lefts = {"h1": (4, 10), "h2": (10, 4)}
    hosts = [
        HostView(
            id=name, name=name, stocks=STOCKS,
            devices=(*card("p1", 4, left[0]), *card("p2", 4, left[1])),
        )
        for name, left in lefts.items()
    ]  # fmt: skip
    for some in (hosts, hosts[:1], hosts[1:]):
        found = select_hosts(server(*asked(1, [4, 4])), Fleet.of(some), choices=9, whole=True)
        assert len(found.choices) == found.fitting == len(some)


def test_where_a_search_is_given_up_addresses_do_not_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two PFs have nothing left, and which of them are looked at first would be by address."""
    monkeypatch.setattr(fit_module, "_CHOICES_MAX", 1)
    here = [*card("p1", 4, 4), *card("p2", 4, 10), *card("p3", 4, 8)]
    names = ["p1", "p2", "p3"]
    said = {
        answers(named(here, dict(zip(names, order, strict=True))), asked(1, [8, 10]))
        for order in permutations(names)
    }
    assert len(said) == 1

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from domain.scheduling.hosts import need, pf, vf
from lanekeeper.domain.network.promise import EGRESS, Promise
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import matches
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.scheduling import tied as tied_module
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.tied import clash


def tied(*devices: HostDevice) -> list[HostDevice]:
    return [replace(one, unit=devices[0].address) for one in devices]


TWO_PORTS = [*tied(pf("p0"), pf("p1")), vf("p0v0", "p0"), vf("p1v0", "p1")]


def test_a_pf_is_not_given_with_a_vf_of_one_that_comes_along() -> None:
    found = fit_devices([need("whole", whole=True), need("part")], TWO_PORTS)
    assert isinstance(found, Shortfall)
    assert found.names == ("whole", "part")
    assert "a PF that is given away together with one of these excludes its VFs" in found.reason


def test_of_two_ways_the_one_is_found_that_brings_nothing_along() -> None:
    found = fit_devices([need("whole", whole=True), need("part")], [*TWO_PORTS, vf("p2v0", "p2")])
    assert not isinstance(found, Shortfall)
    given_to = {one.need_id: one.device.id for one in found}
    assert given_to["part"] == "p2v0"


def many(cards: int) -> list[HostDevice]:
    """Cards of two PFs that are one unit, each PF with a VF that is not of it."""
    return [
        one
        for card in range(cards)
        for one in (
            *tied(pf(f"c{card}p0"), pf(f"c{card}p1")),
            vf(f"c{card}v0", f"c{card}p0"),
            vf(f"c{card}v1", f"c{card}p1"),
        )
    ]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each look at whether something clashes, from now on."""
    looks: list[None] = []

    def look(chosen: Iterable[HostDevice], units: tied_module.Units) -> bool:
        looks.append(None)
        return clash(chosen, units)

    monkeypatch.setattr(tied_module, "clash", look)
    return looks


@pytest.mark.parametrize(("cards", "whole", "fits"), [(8, 15, False), (8, 8, True), (16, 16, True)])
def test_no_request_makes_the_search_long(
    monkeypatch: pytest.MonkeyPatch, cards: int, whole: int, fits: bool
) -> None:
    """Every PF of all cards but one may be had; in each order that would be another try."""
    looks = counted(monkeypatch)
    needs = [*(need(f"w{number}", whole=True) for number in range(whole)), need("part")]
    assert isinstance(fit_devices(needs, many(cards)), tuple) == fits
    assert len(looks) <= 2_100


def test_no_request_makes_the_search_long_for_each_way_to_share_cards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three ports have each a PF to themselves, of two cards at least; that leaves eight PFs."""
    looks = counted(monkeypatch)
    here = [
        replace(one, bandwidth=CardBandwidth(one.card, one.card, ((EGRESS, Inventory(total=10)),)))
        for one in many(6)
    ]
    needs = [
        *(need(f"w{number}", whole=True) for number in range(9)),
        *(need(f"p{number}", promise=Promise(6 + number)) for number in range(3)),
    ]
    found = fit_devices(needs, here)
    assert isinstance(found, Shortfall)
    assert "which excludes another was given up" in found.reason
    assert "ask for them in two servers" in found.remedy
    assert len(looks) <= 30_000


_cards = st.lists(st.integers(0, 2), min_size=1, max_size=3)  # VFs of each PF
_ties = st.lists(st.sampled_from(("", "x", "y")), min_size=9, max_size=9)
_kinds = st.lists(st.booleans(), max_size=4)  # whether a whole PF is wanted


@settings(max_examples=size(100, 600))
@given(_cards, _ties, _kinds, st.booleans())
def test_devices_are_found_exactly_when_there_is_a_way(
    cards: list[int], ties: list[str], kinds: list[bool], isolate: bool
) -> None:
    devices = [
        one
        for card, number in enumerate(cards)
        for one in (pf(f"p{card}"), *(vf(f"p{card}v{part}", f"p{card}") for part in range(number)))
    ]
    devices = [replace(one, unit=ties[at] or None) for at, one in enumerate(devices)]
    if excludes(devices, devices, only_units=True):
        return  # an agent gives nothing of such a unit away
    needs = [need(f"n{place}", whole=whole) for place, whole in enumerate(kinds)]
    found = fit_devices(needs, devices, isolate=isolate)
    assert isinstance(found, Shortfall) != brute(needs, devices, isolate=isolate)
    if not isinstance(found, Shortfall):
        assert right([one.device for one in found], devices, isolate=isolate)


def brute(needs: list[DeviceNeed], devices: list[HostDevice], *, isolate: bool) -> bool:
    """Whether some choice of devices, one for each need, is right."""
    return any(
        all(
            matches(wanted.request.alternatives[0], device.offered)
            for wanted, device in zip(needs, chosen, strict=True)
        )
        and right(chosen, devices, isolate=isolate)
        for chosen in permutations(devices, len(needs))
    )


def right(chosen: Sequence[HostDevice], devices: list[HostDevice], *, isolate: bool) -> bool:
    cards = {one.pf_id or one.id for one in chosen}
    if isolate and len(cards) < len(chosen):
        return False
    return len({one.id for one in chosen}) == len(chosen) and not excludes(chosen, devices)


def excludes(
    chosen: Sequence[HostDevice], devices: list[HostDevice], *, only_units: bool = False
) -> bool:
    """Whether a PF and a VF of it are among these and what they bring along; or are in one unit."""
    units = {one.unit for one in chosen if one.unit}
    every = [*chosen, *(one for one in devices if one.unit in units)]
    return any(
        one.pf_id == other.id and (not only_units or (one.unit == other.unit and one.unit))
        for one in every
        for other in every
        if other.offered.dev_type is DeviceType.PF
    )

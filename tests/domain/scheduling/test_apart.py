"""Needs of one word: devices of different cards, and on different switches where told."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import need, vf
from lanekeeper.domain.pci.spec_key import SWITCH_TAG
from lanekeeper.domain.scheduling.apart import apart_from, are_apart
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall


def on(device: HostDevice, switch: str) -> HostDevice:
    return replace(device, offered=replace(device.offered, tags={SWITCH_TAG: switch}))


def word(name: str, apart: str = "uplinks") -> DeviceNeed:
    return replace(need(name), apart=apart)


def given_to(needs: Sequence[DeviceNeed], devices: Sequence[HostDevice]) -> dict[str, str]:
    found = fit_devices(needs, devices)
    assert not isinstance(found, Shortfall), found
    return {one.need_id: one.device.id for one in found}


def test_two_ports_of_one_word_are_on_two_cards() -> None:
    devices = [vf("a", "p1"), vf("b", "p1"), vf("c", "p2", parts_held=5)]
    assert given_to([need("one"), need("two")], devices) == {"one": "a", "two": "b"}
    assert given_to([word("one"), word("two")], devices) == {"one": "a", "two": "c"}


def test_ports_of_other_words_and_of_none_may_be_anywhere() -> None:
    devices = [vf("a", "p1"), vf("b", "p1"), vf("c", "p2"), vf("d", "p2"), vf("e", "p2")]
    asked = [word("x1", "x"), word("x2", "x"), word("y1", "y"), word("y2", "y"), need("free")]
    found = given_to(asked, devices)
    card = {"a": "p1", "b": "p1", "c": "p2", "d": "p2", "e": "p2"}
    assert card[found["x1"]] != card[found["x2"]]
    assert card[found["y1"]] != card[found["y2"]]


def test_cards_of_one_switch_are_not_apart_where_it_is_told() -> None:
    devices = [
        on(vf("a", "p1"), "leaf-1"),
        on(vf("b", "p2"), "leaf-1"),
        on(vf("c", "p3", parts_held=9), "leaf-2"),
    ]
    found = given_to([word("one"), word("two")], devices)
    assert "c" in found.values()
    assert not are_apart(devices[0], devices[1])
    assert apart_from(devices, [devices[0]]) == (devices[2],)
    unsaid = vf("d", "p4")
    assert are_apart(unsaid, devices[0])
    assert are_apart(unsaid, vf("e", "p5"))


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (
            [vf("a", "p1"), vf("b", "p1"), vf("c", "p2", standing=Standing.HELD)],
            "one, two have to be of different cards (apart=uplinks), and 1 has such a device free",
        ),
        (
            [on(vf("a", "p1"), "leaf-1"), on(vf("b", "p2"), "leaf-1")],
            "one, two have to be of different cards (apart=uplinks), and 2 have such a device free "
            "on 1 switches (x_switch)",
        ),
    ],
)
def test_where_there_is_one_card_alone_it_is_said(devices: list[HostDevice], said: str) -> None:
    found = fit_devices([word("one"), word("two")], devices)
    assert isinstance(found, Shortfall)
    assert found.reason == said
    assert found.names == ("one", "two")
    assert "list VFs of another PF" in found.remedy
    assert "take apart out of the ports' binding profiles" in found.remedy


def test_what_is_short_anyway_is_said_first() -> None:
    found = fit_devices([word("one"), word("two")], [vf("a", "p1")])
    assert isinstance(found, Shortfall)
    assert "together need 2 devices and at most 1" in found.reason


@given(
    cards=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    words=st.lists(st.sampled_from(["", "x", "y"]), min_size=1, max_size=4),
    switches=st.lists(st.sampled_from(["", "l1", "l2"]), min_size=3, max_size=3),
)
def test_they_are_found_exactly_when_there_is_a_way(
    cards: list[int], words: list[str], switches: list[str]
) -> None:
    devices = []
    for number, card in enumerate(cards):
        one = vf(f"v{number}", f"p{card}")
        devices.append(on(one, switches[card]) if switches[card] else one)
    needs = [word(f"n{number}", text) for number, text in enumerate(words)]

    def right(chosen: Sequence[HostDevice]) -> bool:
        kin = [
            (one, other)
            for (one, a), (other, b) in combinations(zip(chosen, words, strict=True), 2)
            if a and a == b
        ]
        return len({one.id for one in chosen}) == len(chosen) and all(
            are_apart(*two) for two in kin
        )

    possible = any(right(chosen) for chosen in product(devices, repeat=len(needs)))
    found = fit_devices(needs, devices)
    assert isinstance(found, Shortfall) != possible
    if not isinstance(found, Shortfall):
        by_need = {one.need_id: one.device for one in found}
        assert right([by_need[one.id] for one in needs])

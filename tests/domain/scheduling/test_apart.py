"""Needs of one word: devices of different cards, and on different switches where told."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import host, need, server, vf
from lanekeeper.domain.pci.spec_key import SWITCH_TAG
from lanekeeper.domain.scheduling import tied as tied_module
from lanekeeper.domain.scheduling.apart import apart_from, are_apart
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.place import Place, place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.topology.affinity import RootPolicy


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
            "on 1 switch (x_switch)",
        ),
        (
            [
                on(vf("a", "p1"), "leaf-1"),
                on(vf("b", "p1"), "leaf-1"),
                vf("c", "p2", standing=Standing.HELD),
            ],
            "one, two have to be of different cards (apart=uplinks), and 1 has such a device free "
            "on 1 switch (x_switch)",
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


def test_a_card_that_is_said_to_be_on_no_switch_is_not_counted_as_one() -> None:
    """Three are wanted, and two of the cards are on one switch."""
    devices = [
        on(vf("a", "p1"), "leaf-1"),
        on(vf("b", "p2"), "leaf-1"),
        vf("c", "p3"),
    ]
    found = fit_devices([word("one"), word("two"), word("three")], devices)
    assert isinstance(found, Shortfall)
    assert found.reason.endswith("and 3 have such a device free, 2 of them on 1 switch (x_switch)")


def test_what_is_short_anyway_is_said_first() -> None:
    found = fit_devices([word("one"), word("two")], [vf("a", "p1")])
    assert isinstance(found, Shortfall)
    assert "together need 2 devices and at most 1" in found.reason


def test_a_search_that_is_given_up_is_not_told_as_a_fact() -> None:
    """There is a way: the first four switches for those who have no others."""
    devices = [
        *(on(vf(f"a{n}", f"pf of a{n}", product_id=1), f"leaf-{n}") for n in range(8)),
        *(on(vf(f"b{n}", f"pf of b{n}", product_id=2), f"leaf-{n // 2}") for n in range(8)),
    ]
    needs = [
        replace(need(f"port {product_id}{n}", product_ids=(product_id,)), apart="uplinks")
        for product_id in (1, 2)
        for n in range(4)
    ]
    found = fit_devices(needs, devices)
    assert isinstance(found, Shortfall)
    assert found.reason.endswith(
        "together: the search for devices of different cards for the ports with apart in their "
        "binding profiles was given up, there are too many ways to choose them"
    )
    assert found.remedy.startswith("ask for fewer such ports in one server")


def test_where_a_search_is_given_up_addresses_do_not_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two cards are on one switch; with the third the second device looked at, two tries do."""
    monkeypatch.setattr(tied_module, "_STEPS_MAX", 2)
    leaves = {"p1": "leaf-1", "p2": "leaf-1", "p3": "leaf-2"}
    said = set()
    for order in permutations(leaves):
        at = dict(zip(leaves, order, strict=True))
        devices = [
            replace(on(vf(card, f"pf of {card}"), leaf), address=at[card])
            for card, leaf in leaves.items()
        ]
        said.add(isinstance(fit_devices([word("one"), word("two")], devices), Shortfall))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("policy", "roots"),
    [(RootPolicy.REQUIRED, "rrr"), (RootPolicy.PREFERRED, "qrs")],
)
def test_a_search_that_is_given_up_below_one_root_port_makes_no_fact_of_the_others(
    monkeypatch: pytest.MonkeyPatch, policy: RootPolicy, roots: str
) -> None:
    monkeypatch.setattr(tied_module, "_STEPS_MAX", 2)
    leaves = ("leaf-1", "leaf-1", "leaf-2")
    devices = [
        replace(on(vf(f"v{number}", f"p{number}"), leaf), pcie_root=root)
        for number, (leaf, root) in enumerate(zip(leaves, roots, strict=True))
    ]
    asked = server(word("one"), word("two"), pcie_root=policy)
    found = place(asked, host("h1", *devices))
    assert isinstance(found, Shortfall)
    assert "was given up" in found.reason
    monkeypatch.setattr(tied_module, "_STEPS_MAX", 3)
    assert isinstance(place(asked, host("h1", *devices)), Place)


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

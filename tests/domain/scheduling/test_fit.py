from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from domain.scheduling.hosts import need, pf, vf
from lanekeeper.domain.pci.request import matches
from lanekeeper.domain.scheduling.fit import Given, fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall


def addresses(found: tuple[Given, ...] | Shortfall) -> list[str]:
    assert not isinstance(found, Shortfall), found
    return [given.device.address for given in found]


def reason(found: tuple[Given, ...] | Shortfall) -> str:
    assert isinstance(found, Shortfall), found
    return found.reason


def test_a_need_that_has_a_choice_gives_way_to_one_that_has_none() -> None:
    choosy, easy = need("choosy", product_ids=(1,)), need("easy", product_ids=(1, 2))
    devices = [vf("a", product_id=1), vf("b", product_id=2)]
    for needs in permutations((choosy, easy)):
        found = fit_devices(needs, devices)
        assert not isinstance(found, Shortfall)
        assert {given.need_id: given.device.id for given in found} == {"choosy": "a", "easy": "b"}


def test_earlier_alternatives_are_preferred() -> None:
    devices = [vf("a", product_id=2), vf("b", product_id=1)]
    assert addresses(fit_devices([need("n", product_ids=(1, 2))], devices)) == ["b"]


def test_a_pf_and_its_vfs_are_never_given_together() -> None:
    devices = [pf("p1"), vf("p1v0", "p1"), vf("p1v1", "p1"), pf("p2"), vf("p2v0", "p2")]
    found = fit_devices([need("whole", whole=True), need("parts", 2)], devices)
    assert addresses(found) == ["p2", "p1v0", "p1v1"]
    said = reason(fit_devices([need("whole", 2, whole=True), need("parts")], devices))
    assert "a PF and its VFs exclude each other" in said


def test_vfs_come_from_the_fullest_card_where_the_pf_is_offered_too() -> None:
    devices = [
        vf("a", "p1", parts_held=0, whole_offered=True),
        vf("b", "p2", parts_held=3, whole_offered=True),
    ]
    assert addresses(fit_devices([need("n")], devices)) == ["b"]


def test_vfs_come_from_the_emptiest_card_elsewhere() -> None:
    devices = [vf("a", "p1", parts_held=3), vf("b", "p2", parts_held=1)]
    assert addresses(fit_devices([need("n")], devices)) == ["b"]


def test_equal_devices_go_by_address() -> None:
    assert addresses(fit_devices([need("n", 2)], [vf("c"), vf("a"), vf("b")])) == ["a", "b"]


@pytest.mark.parametrize(
    ("devices", "text", "remedy"),
    [
        ([], "none is listed at all", "device_spec"),
        ([vf("a", product_id=5)], "no device listed here fits", "device_spec"),
        ([vf("a", standing=Standing.HELD)], "0 are free, 1 are held", "delete a server"),
        ([vf("a", standing=Standing.CLEANING)], "1 are being cleaned", "wait"),
        ([vf("a", standing=Standing.QUARANTINED)], "1 are quarantined", "quarantined"),
        (
            [vf("a", standing=Standing.SPENT)],
            "1 are spent (one-time-use)",
            "lanekeeper device release",
        ),
        ([vf("a", standing=Standing.RESERVED)], "1 are reserved through Placement", "reserved=0"),
        ([vf("a", standing=Standing.RETIRED)], "1 are retired", "lanekeeper device release"),
    ],
)
def test_a_shortfall_says_what_stands_in_the_way(
    devices: list[HostDevice], text: str, remedy: str
) -> None:
    found = fit_devices([need("alias a1")], devices)
    assert isinstance(found, Shortfall)
    assert "alias a1 needs 1" in found.reason
    assert text in found.reason
    assert remedy in found.remedy


def test_needs_that_compete_are_told_together() -> None:
    found = fit_devices([need("one"), need("two")], [vf("a")])
    assert isinstance(found, Shortfall)
    assert found.names == ("one", "two")
    assert "together need 2 devices and at most 1" in found.reason


_cards = st.lists(st.integers(0, 3), min_size=1, max_size=3)  # VFs of each PF
_kinds = st.lists(st.tuples(st.booleans(), st.sets(st.integers(1, 2), min_size=1)), max_size=4)


@settings(max_examples=size(80, 400))
@given(_cards, _kinds, st.lists(st.integers(1, 2), min_size=9, max_size=9))
def test_devices_are_found_exactly_when_there_is_a_way(
    cards: list[int], kinds: list[tuple[bool, set[int]]], products: list[int]
) -> None:
    devices: list[HostDevice] = []
    for card, number in enumerate(cards):
        devices.append(pf(f"p{card}"))
        devices += [
            vf(f"p{card}v{part}", f"p{card}", product_id=products[card * 3 + part])
            for part in range(number)
        ]
    needs = [
        need(f"n{place}", whole=whole, product_ids=tuple(sorted(ids)))
        for place, (whole, ids) in enumerate(kinds)
    ]
    found = fit_devices(needs, devices)
    assert isinstance(found, Shortfall) != brute(needs, devices)
    if not isinstance(found, Shortfall):
        taken = {given.device.id for given in found}
        assert len(taken) == len(needs)
        assert not any(given.device.pf_id in taken for given in found)


def brute(needs: list[DeviceNeed], devices: list[HostDevice]) -> bool:
    """Whether some choice of devices, one for each need, is right."""
    for chosen in permutations(devices, len(needs)):
        taken = {device.id for device in chosen}
        fits = all(
            any(matches(one, device.offered) for one in wanted.request.alternatives)
            for wanted, device in zip(needs, chosen, strict=True)
        )
        if fits and not any(device.pf_id in taken for device in chosen):
            return True
    return False


def test_isolated_devices_come_of_a_card_each() -> None:
    one, two = (vf(name, "a", product_id=1) for name in ("a0", "a1"))
    devices = [one, two, vf("b0", "b", product_id=2), pf("c"), vf("c0", "c", product_id=1)]
    both = [need("any", 2, product_ids=(1, 2)), need("whole", whole=True)]
    found = fit_devices(both, devices, isolate=True)
    assert addresses(found) == ["a0", "b0", "c"]
    said = reason(fit_devices([need("one", 3, product_ids=(1,))], devices, isolate=True))
    assert said.startswith("one needs 3 devices of as many cards (group_policy=isolate)")
    assert "and 2 have such a device free" in said


@settings(max_examples=size(30, 200))
@given(st.lists(st.integers(0, 4), max_size=10), st.integers(1, 5))
def test_isolated_devices_are_found_exactly_when_there_are_so_many_cards(
    cards: list[int], count: int
) -> None:
    devices = [vf(f"{place}", f"card{card}") for place, card in enumerate(cards)]
    found = fit_devices([need("n", count)], devices, isolate=True)
    if isinstance(found, Shortfall):
        assert len(set(cards)) < count
    else:
        assert len({given.device.pf_id for given in found}) == count


def test_a_device_for_one_guest_in_its_life_is_taken_last() -> None:
    once = {"one_time_use": "true"}
    devices = [vf("a", tags=once), vf("b", tags={"trusted": "true"}), vf("c")]
    for count, chosen in ((1, {"c"}), (2, {"b", "c"}), (3, {"a", "b", "c"})):
        found = fit_devices([need("n", count=count)], devices)
        assert not isinstance(found, Shortfall)
        assert {one.device.id for one in found} == chosen

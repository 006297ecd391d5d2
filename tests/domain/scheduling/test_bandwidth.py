"""Ports have their bandwidth from the cards of their own devices, and from no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scheduling.hosts import STOCKS, need, vf
from lanekeeper.domain.network.promise import EGRESS, INGRESS, Promise
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.scheduling.claimed import claimed
from lanekeeper.domain.scheduling.filter import bandwidth, devices
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView, ServerRequest
from lanekeeper.domain.scheduling.member_view import member_verdict
from lanekeeper.domain.scheduling.selection import choose_on
from lanekeeper.domain.scheduling.shortfall import Shortfall


def card(
    name: str, egress: int | None = 10_000, ingress: int | None = None, *, used: int = 0
) -> CardBandwidth:
    told = ((EGRESS, egress, used), (INGRESS, ingress, 0))
    stocks = tuple(
        (class_, Inventory(total=total, used=taken)) for class_, total, taken in told if total
    )
    return CardBandwidth(f"provider of {name}", name, stocks)


def vfs(name: str, count: int, bandwidth: CardBandwidth | None) -> list[HostDevice]:
    return [vf(f"{name}{number}", pf=name, bandwidth=bandwidth) for number in range(count)]


def port(name: str, egress: int = 0, ingress: int = 0) -> DeviceNeed:
    return need(name, promise=Promise(egress, ingress))


def request(*needs: DeviceNeed) -> ServerRequest:
    return ServerRequest(vcpus=1, ram_mib=1, disk_gib=1, needs=needs)


def host(*cards: list[HostDevice]) -> HostView:
    return HostView(
        id="h", name="h", stocks=STOCKS, devices=tuple(one for mine in cards for one in mine)
    )


def test_a_port_goes_to_the_pf_that_has_as_much() -> None:
    here = [*vfs("a", 2, card("a", 2_000)), *vfs("b", 2, card("b", 5_000))]
    found = fit_devices([port("p", 3_000)], here)
    assert not isinstance(found, Shortfall)
    assert found[0].device.pf_id == "b"


def test_ports_of_one_server_share_cards_so_that_all_fit() -> None:
    """The greedy choice, the first port on the first card, would leave the last without."""
    here = [*vfs("a", 3, card("a", 6_000)), *vfs("b", 3, card("b", 7_000))]
    asked = [port("p", 3_000), port("q", 4_000), port("r", 3_000), port("s", 3_000)]
    found = fit_devices(asked, here)
    assert not isinstance(found, Shortfall)
    on = {one.need_id: str(one.device.pf_id) for one in found}
    assert on["q"] == "b"
    assert sorted(on.values()) == ["a", "a", "b", "b"]


def test_another_pf_s_bandwidth_does_not_help() -> None:
    here = [*vfs("a", 2, card("a", 4_000)), *vfs("b", 2, card("b", 4_000))]
    found = fit_devices([port("p", 5_000)], here)
    assert isinstance(found, Shortfall)
    assert found.reason == (
        "p has free devices and no bandwidth: PF a has 4,000 of 4,000 kbit/s egress left, the port "
        "wants 5,000, PF b has 4,000 of 4,000 kbit/s egress left, the port wants 5,000"
    )
    assert "minimum_bandwidth" in found.remedy


@pytest.mark.parametrize(
    ("bandwidth_of_card", "promise", "said"),
    [
        (card("ens1f0", 10_000, used=8_000), Promise(3_000),
         "PF ens1f0 has 2,000 of 10,000 kbit/s egress left, the port wants 3,000"),
        (card("ens1f0", 10_000, used=12_000), Promise(1),
         "PF ens1f0 has 0 of 10,000 kbit/s egress left, the port wants 1"),
        (card("ens1f0", 10_000), Promise(1, 1),
         "PF ens1f0 has no ingress bandwidth to promise, the port wants 1 kbit/s"),
        (card("ens1f0", 1, 1), Promise(2, 2),
         "PF ens1f0 has 1 of 1 kbit/s egress left, the port wants 2 and has 1 of 1 kbit/s ingress "
         "left, the port wants 2"),
        (card("ens1f0", 3_000), Promise(3_000), ""),
    ],
)  # fmt: skip
def test_a_card_says_what_it_lacks(
    bandwidth_of_card: CardBandwidth, promise: Promise, said: str
) -> None:
    assert bandwidth_of_card.lacks(promise) == said


def test_steps_and_units_of_an_inventory_count() -> None:
    stock = Inventory(total=10_000, min_unit=1_000, max_unit=5_000, step_size=1_000)
    one = CardBandwidth("id", "ens1f0", ((EGRESS, stock),))
    assert one.lacks(Promise(5_000)) == ""
    assert "step_size 1000" in one.lacks(Promise(1_500))
    assert "max_unit 5000" in one.lacks(Promise(6_000))


def test_where_nothing_is_counted_nothing_is_promised() -> None:
    verdict = bandwidth(request(port("p", 1)), host(vfs("a", 1, None)))
    assert verdict is not None
    assert "their PF has no bandwidth to promise" in verdict.reason
    assert "resource_provider_bandwidths" in verdict.remedy
    assert bandwidth(request(port("p")), host(vfs("a", 1, None))) is None


def test_want_of_devices_is_not_said_to_be_want_of_bandwidth() -> None:
    asked, here = request(port("p", 1), port("q", 1)), host(vfs("a", 1, card("a")))
    assert devices(asked, here) is not None
    assert bandwidth(asked, here) is None


def test_a_member_is_not_told_of_cards() -> None:
    verdict = bandwidth(request(port("p", 99_999)), host(vfs("ens9", 1, card("ens9"))))
    assert verdict is not None
    told = member_verdict(verdict)
    assert "ens9" not in f"{told.reason} {told.remedy} {told.facts}"
    assert "minimum_bandwidth" in told.remedy


def test_a_claim_takes_from_the_card_for_all_of_its_devices() -> None:
    here = host(vfs("a", 3, card("a", 5_000)))
    asked = request(port("p", 3_000))
    chosen = choose_on(asked, here)
    assert not isinstance(chosen, Shortfall)
    after = claimed(asked, chosen, "s")
    assert {one.bandwidth.inventories[0][1].used for one in after.devices if one.bandwidth} == {
        3_000
    }
    assert bandwidth(asked, after) is not None
    assert after.device_shape != here.device_shape


def test_hosts_whose_cards_differ_in_bandwidth_alone_differ_in_shape() -> None:
    used = [card("a"), card("a", used=1), card("a", ingress=1), None]
    shapes = {host(vfs("a", 1, one), vfs("b", 1, card("b"))).device_shape for one in used}
    assert len(shapes) == len(used)


def test_a_card_whose_driver_can_set_a_guarantee_is_preferred() -> None:
    here = [
        vf("a0", pf="a", bandwidth=card("a"), pf_driver="igb"),
        vf("b0", pf="b", bandwidth=card("b"), pf_driver="ice"),
    ]
    promised, other = (fit_devices([port("p", n)], here) for n in (1, 0))
    assert not isinstance(promised, Shortfall)
    assert not isinstance(other, Shortfall)
    assert (promised[0].device.id, other[0].device.id) == ("b0", "a0")


@given(
    rooms=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    asked=st.lists(st.integers(1, 6), min_size=1, max_size=5),
)
def test_no_card_promises_more_than_it_has(rooms: list[int], asked: list[int]) -> None:
    """And what some way of sharing cards would allow is found."""
    here = [one for n, room in enumerate(rooms) for one in vfs(f"c{n}", 5, card(f"c{n}", room))]
    found = fit_devices([port(f"p{n}", much) for n, much in enumerate(asked)], here)
    assert isinstance(found, Shortfall) != _fits(sorted(asked, reverse=True), rooms)
    if not isinstance(found, Shortfall):
        for n, room in enumerate(rooms):
            mine = [asked[int(one.need_id[1:])] for one in found if one.device.pf_id == f"c{n}"]
            assert sum(mine) <= room


def test_a_search_for_cards_that_is_given_up_is_not_told_as_a_fact() -> None:
    """There is a way, of three ports on each card, which takes all that the cards have."""
    shares = [(50, 54, 6), (34, 66, 63), (52, 39, 62), (46, 28, 65), (18, 37, 13)]
    here = [
        one for n, mine in enumerate(shares) for one in vfs(f"c{n}", 4, card(f"c{n}", sum(mine)))
    ]
    found = fit_devices([port(f"p{much}", much) for mine in shares for much in mine], here)
    assert isinstance(found, Shortfall)
    assert found.reason.endswith(
        "together: the search for PFs that have left what each of the ports is promised was given "
        "up, there are too many ways to choose them"
    )
    assert "lower min_kbps" in found.remedy


def _fits(asked: list[int], rooms: list[int]) -> bool:
    if not asked:
        return True
    return any(
        _fits(asked[1:], [*rooms[:n], room - asked[0], *rooms[n + 1 :]])
        for n, room in enumerate(rooms)
        if room >= asked[0]
    )

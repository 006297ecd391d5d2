"""No remedy frees devices where they would not do even so."""

from dataclasses import replace

import pytest

from domain.scheduling.hosts import host, need, pf, server, vf
from lanekeeper.domain.scheduling.filter import devices, numa
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.member_view import member_verdict
from lanekeeper.domain.topology.cell import MEMORY, VCPUS, Amount, HostCell
from lanekeeper.domain.topology.guest import GuestCell, GuestTopology

HELD, SPENT = Standing.HELD, Standing.SPENT
EVEN_SO = "; and even if all of these were free, "


def of_one_card(held: int = 1, spent: int = 3, card: str = "p1") -> list[HostDevice]:
    standings = [HELD] * held + [SPENT] * spent
    return [vf(f"{card}{at}", card, standing=one) for at, one in enumerate(standings)]


def test_too_few_cards_are_told_beside_what_is_not_free() -> None:
    found = devices(server(need("a1", 2), isolate=True), host("h1", *of_one_card()))
    assert found is not None
    assert found.reason == (
        "a1 needs 2; of 4 that fit 0 are free, 1 are held, 3 are spent (one-time-use)"
        + EVEN_SO
        + "a1 needs 2 devices of as many cards (group_policy=isolate), and 1 has such a device free"
    )
    assert found.remedy == "use group_policy=none in the flavor, or list devices of other cards"
    told = member_verdict(found)
    assert told.remedy == "ask for fewer devices, or ask an operator"


@pytest.mark.parametrize("isolate", [True, False])
def test_what_would_help_is_told_alone(*, isolate: bool) -> None:
    of_two = [*of_one_card(), *of_one_card(card="p2")] if isolate else of_one_card()
    found = devices(server(need("a1", 2), isolate=isolate), host("h1", *of_two))
    assert found is not None
    assert EVEN_SO not in found.reason
    assert found.remedy.startswith("ask for the return of what is spent")
    assert "delete a server that holds some" in member_verdict(found).remedy


@pytest.mark.parametrize(
    ("needs", "there", "told", "remedy"),
    [
        (  # the other need is short in any case
            [need("a1"), need("b1", 2, product_ids=(7,))],
            [vf("d1", standing=SPENT), vf("d2", "p2", product_id=7)],
            "b1 needs 2; of 1 that fit 1 are free",
            "add devices",
        ),
        (  # a PF and a VF of it
            [need("part"), need("whole", whole=True)],
            [vf("d1", "p1", standing=HELD), replace(pf("p1"), standing=Standing.BLOCKED)],
            "exclude each other",
            "ask for fewer devices in one server",
        ),
        (
            [replace(need(name), apart="uplinks") for name in ("one", "two")],
            [vf("d1", "p1", standing=SPENT), vf("d2", "p1", standing=SPENT)],
            "one needs 1; of 2 that fit 0 are free, 2 are spent (one-time-use)"
            + EVEN_SO
            + "one, two have to be of different cards",
            "list VFs of another PF",
        ),
    ],
)
def test_what_else_stands_against_it_is_told(
    needs: list[DeviceNeed], there: list[HostDevice], told: str, remedy: str
) -> None:
    found = devices(server(*needs), host("h1", *there))
    assert found is not None
    assert told in found.reason
    assert EVEN_SO in found.reason
    assert remedy in found.remedy


def test_a_host_that_has_too_few_says_so_to_members() -> None:
    found = devices(server(need("a1", 5)), host("h1", *of_one_card()))
    assert found is not None
    assert EVEN_SO not in found.reason
    assert member_verdict(found).remedy == "ask for fewer devices, or ask an operator"


def test_cards_of_others_are_to_be_freed_where_there_are_enough() -> None:
    there = [vf("d1", "p1"), vf("d2", "p1"), vf("d3", "p2", standing=HELD)]
    found = devices(server(need("a1", 2), isolate=True), host("h1", *there))
    assert found is not None
    assert found.remedy.endswith("or free devices on other cards")
    found = devices(server(need("a1", 2), isolate=True), host("h1", *there[:2]))
    assert found is not None
    assert found.remedy.endswith("or list devices of other cards")


@pytest.mark.parametrize("cards", [1, 2])
def test_a_seat_on_the_host_is_told_of_as_if_nobody_were_there(cards: int) -> None:
    there = [one for card in range(cards) for one in of_one_card(card=f"p{card}")]
    topology = GuestTopology(cells=(GuestCell(frozenset({0}), frozenset(), 512),))
    asked = server(need("a1", 2), isolate=True, topology=topology)
    cell = HostCell(id=0, socket=0, amounts={VCPUS: Amount(8, 8), MEMORY: Amount(4096, 4096)})
    found = numa(asked, host("h1", *there, cells=(cell,)))
    assert found is not None
    assert (EVEN_SO in found.reason) == (cards == 1)

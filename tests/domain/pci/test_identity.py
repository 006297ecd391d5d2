"""Which known device a told function is: told by cases, and by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.pci.identity import Known, doubts, recognise


@dataclass(frozen=True, kw_only=True)
class Fact:
    address: str
    vendor_id: str = "8086"
    product_id: str = "10c9"
    dev_type: str = "type-PF"
    parent: str | None = None
    vf_index: int | None = None
    serial: str | None = None
    slot: str | None = None


A, B, C = "0000:21:00.0", "0000:41:00.0", "0000:61:00.0"


def card(
    address: str, serial: str | None = None, slot: str | None = None, vfs: int = 2
) -> list[Fact]:
    below = address.rpartition(":")[0]
    return [
        Fact(address=address, serial=serial, slot=slot),
        *(
            Fact(
                address=f"{below}:10.{index}",
                product_id="10ca",
                dev_type="type-VF",
                parent=address,
                vf_index=index,
            )
            for index in range(vfs)
        ),
    ]


def kept(told: Sequence[Fact], name: str = "", *, present: bool = True) -> list[Known]:
    """What is known once *told* was told: ids are the addresses of then, after *name*."""
    return [
        Known(
            id=name + fact.address,
            pf_id=name + fact.parent if fact.parent else None,
            present=present,
            **{
                key: getattr(fact, key)
                for key in ("address", "vendor_id", "product_id", "dev_type", "vf_index")
            },
            serial=fact.serial,
            slot=fact.slot,
        )
        for fact in told
    ]


def seen(told: Sequence[Fact], known: Sequence[Known]) -> dict[str, str]:
    return {address: row.id for address, row in recognise(told, known).items()}


def test_a_card_that_moved_is_known_by_its_serial_and_its_vfs_by_their_index() -> None:
    assert seen(card(B, "s1"), kept(card(A, "s1"))) == {
        B: A,
        "0000:41:10.0": "0000:21:10.0",
        "0000:41:10.1": "0000:21:10.1",
    }


def test_two_cards_that_changed_places_are_told_by_their_serials() -> None:
    known = kept([*card(A, "s1"), *card(B, "s2")])
    told = [*card(A, "s2"), *card(B, "s1")]
    found = seen(told, known)
    assert (found[A], found[B]) == (B, A)
    assert found["0000:21:10.1"] == "0000:41:10.1"
    assert doubts(told, known, recognise(told, known)) == {}


def test_without_a_serial_the_slot_tells() -> None:
    known = kept([*card(A, slot="1"), *card(B, slot="2")])
    found = seen([*card(B, slot="1"), *card(C, slot="2")], known)
    assert (found[B], found[C]) == (A, B)


def test_a_serial_counts_more_than_a_slot() -> None:
    known = kept([*card(A, "s1", "1"), *card(B, "s2", "2")])
    found = seen([*card(A, "s2", "1"), *card(B, "s1", "2")], known)
    assert (found[A], found[B]) == (B, A)


def test_a_slot_that_has_another_name_makes_no_other_card() -> None:
    assert seen(card(A, slot="1-1"), kept(card(A, slot="1")))[A] == A


def test_without_serial_and_slot_the_address_tells() -> None:
    known = kept(card(A))
    assert seen(card(A), known)[A] == A
    assert seen(card(B), known) == {}
    assert doubts(card(B), known, {}) == {}


def test_what_an_older_agent_does_not_tell_speaks_against_nothing() -> None:
    assert seen(card(A), kept(card(A, "s1", "3")))[A] == A
    assert seen(card(A, "s1", "3"), kept(card(A)))[A] == A
    bare = [replace(fact, vf_index=None) for fact in card(A)]
    assert seen(bare, kept(card(A, "s1"))) == {fact.address: fact.address for fact in bare}


def test_one_cloned_serial_of_two_cards_tells_neither() -> None:
    told = [*card(A, "same"), *card(B, "same")]
    assert seen(told, kept(told)) == {fact.address: fact.address for fact in told}


def test_functions_of_a_card_have_one_serial_and_are_told_by_their_number() -> None:
    two = [Fact(address=f"0000:21:00.{number}", serial="s1") for number in (0, 1)]
    moved = [replace(fact, address=fact.address.replace("21", "22")) for fact in two]
    assert seen(moved, kept(two)) == {
        "0000:22:00.0": "0000:21:00.0",
        "0000:22:00.1": "0000:21:00.1",
    }


def test_a_card_that_was_away_is_known_wherever_it_comes_back() -> None:
    known = [*kept(card(A, "s1"), "old ", present=False), *kept(card(A, "s2"))]
    assert seen(card(B, "s1"), known)[B] == f"old {A}"
    assert seen(card(A, "s1"), known)[A] == f"old {A}"


def test_another_card_is_doubted_with_all_its_vfs() -> None:
    known = kept(card(A, "s1"))
    told = card(A, "s2", vfs=3)
    assert recognise(told, known) == {}
    made = doubts(told, known, {})
    assert made[A].reason == "another card is at this address: serial s2, was s1"
    assert made["0000:21:10.2"].reason == (
        f"of PF {A}: another card is at this address: serial s2, was s1"
    )
    assert made.keys() == {fact.address for fact in told}


def test_another_kind_at_the_address_is_named() -> None:
    told = [replace(card(A)[0], product_id="1521")]
    assert doubts(told, kept(card(A)), {})[A].reason == (
        "another card is at this address: 8086:1521 type-PF, was 8086:10c9 type-PF"
    )


def test_a_new_card_where_one_was_that_moved_on_is_doubted() -> None:
    known = kept(card(A, slot="1"))
    told = [*card(A, slot="0"), *card(B, slot="1")]
    found = recognise(told, known)
    assert {address: row.id for address, row in found.items()}[B] == A
    assert doubts(told, known, found)[A].reason == (
        f"another card is at this address: the one that was here is at {B} now"
    )


def test_vfs_that_a_known_card_has_made_are_its_own_wherever_they_sit() -> None:
    known = kept([*card(A, "s1", vfs=3), *card(B, "s2", vfs=1)])
    told = [*card(A, "s2", vfs=3), *card(B, "s1", vfs=1)]
    found = recognise(told, known)
    assert "0000:21:10.2" not in found
    assert doubts(told, known, found) == {}


def test_a_vf_that_its_card_has_made_into_another_kind_is_doubted() -> None:
    told = [fact if fact.parent is None else replace(fact, product_id="10cb") for fact in card(A)]
    known = kept(card(A))
    assert doubts(told, known, recognise(told, known)).keys() == {"0000:21:10.0", "0000:21:10.1"}


PLACES = [f"0000:{bus}:00.{number}" for bus in (21, 41, 61) for number in (0, 1)]


@st.composite
def hosts(draw: st.DrawFn) -> list[Fact]:
    told: list[Fact] = []
    for address in draw(st.lists(st.sampled_from(PLACES), unique=True, max_size=4)):
        vfs = draw(st.integers(0, 2))
        pf = Fact(
            address=address,
            product_id=draw(st.sampled_from(["10c9", "1521"])),
            serial=draw(st.sampled_from([None, "s1", "s2"])),
            slot=draw(st.sampled_from([None, "1", "2"])),
        )
        told.append(pf)
        below, _, number = address.rpartition(".")
        told += [
            Fact(
                address=f"{below[:-2]}1{index}.{number}",
                product_id="10ca",
                dev_type="type-VF",
                parent=address,
                vf_index=draw(st.sampled_from([None, index])),
            )
            for index in range(vfs)
        ]
    return told


@st.composite
def books(draw: st.DrawFn) -> list[Known]:
    """What may be known: hosts of before, of which the last was told last."""
    past = draw(st.lists(hosts(), max_size=2))
    away = [row for at, told in enumerate(past) for row in kept(told, f"{at} ", present=False)]
    return [*away, *kept(draw(hosts()), "now ")]


@given(told=hosts(), known=books())
def test_no_two_functions_are_one_device_and_nothing_speaks_against_any(
    told: list[Fact], known: list[Known]
) -> None:
    found = recognise(told, known)
    rows = [row.id for row in found.values()]
    assert len(rows) == len(set(rows))
    for fact in told:
        row = found.get(fact.address)
        if row is None:
            continue
        assert (row.product_id, row.dev_type) == (fact.product_id, fact.dev_type)
        assert not (row.serial and fact.serial) or row.serial == fact.serial
        if fact.parent is not None:
            assert row.pf_id == found[fact.parent].id


@given(told=hosts(), known=books())
def test_an_unchanged_host_is_what_it_was(told: list[Fact], known: list[Known]) -> None:
    away = [replace(row, present=False) for row in known]
    found = recognise(told, [*away, *kept(told)])
    assert {address: row.id for address, row in found.items()} == {
        fact.address: fact.address for fact in told
    }
    assert doubts(told, [*away, *kept(told)], found) == {}


@given(told=hosts(), known=books())
def test_every_new_function_at_a_known_address_is_doubted_or_a_known_cards(
    told: list[Fact], known: list[Known]
) -> None:
    found = recognise(told, known)
    made = doubts(told, known, found)
    addresses = {row.address for row in known}
    assert not made.keys() & found.keys()
    for fact in told:
        new_here = fact.address in addresses and fact.address not in found
        if new_here and not (fact.parent and fact.parent in found):
            assert fact.address in made
        if fact.parent in made:
            assert fact.address in made

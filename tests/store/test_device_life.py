"""A device's life and its card's count: told step by step, and by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from campaign import size
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.device.life import (
    Pick,
    claim_insert,
    claim_release,
    device_clean_again,
    device_cleaned,
)
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.tables import card, claim, device, metadata

NOW, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
HOST, ELSEWHERE = "1" * 8, "2" * 8
PF = DeviceRow(address="0000:21:00.0", vendor_id="8086", product_id="10c9", dev_type="type-PF")
VFS = tuple(
    DeviceRow(
        address=f"0000:21:10.{number}",
        vendor_id="8086",
        product_id="10ca",
        dev_type="type-VF",
        parent=PF.address,
        vf_index=number,
    )
    for number in range(3)
)
VF1, VF2 = VFS[0], VFS[1]

T = TypeVar("T")


@dataclass(slots=True)
class Rig:
    """One card in an empty database, called by addresses."""

    engine: sa.Engine
    ids: dict[str, str] = field(default_factory=dict)

    def do(self, work: Callable[[sa.Connection], T]) -> T:
        with self.engine.begin() as connection:
            return work(connection)

    def facts(self, *told: DeviceRow) -> None:
        self.ids = self.do(lambda c: devices_merge(c, HOST, told, NOW).ids)

    def take(self, consumer: str, *device_ids: str) -> None:
        picks = [Pick(one, f"{consumer} {one}") for one in device_ids]
        self.do(lambda c: claim_insert(c, consumer, picks, NOW))

    def rows(self) -> dict[str, sa.RowMapping]:
        with self.engine.connect() as connection:
            return {row["id"]: row for row in connection.execute(sa.select(device)).mappings()}

    def cleaned(self, device_id: str, *, problem: str = "", host_id: str = HOST) -> bool:
        round_ = self.rows()[device_id]["cleaning_round"]
        return self.do(
            lambda c: device_cleaned(c, host_id, device_id, round_, NOW, problem=problem)
        )

    def card(self, pf_id: str) -> tuple[str | None, int]:
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(card).where(card.c.pf_device_id == pf_id)).one()
        return row.whole_holder, row.parts_held


@contextmanager
def made() -> Iterator[Rig]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    rig = Rig(engine)
    rig.do(lambda c: host_insert(c, HOST, "h1", "secret", NOW))
    rig.facts(PF, *VFS)
    yield rig
    engine.dispose()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with made() as rig:
        yield rig


STEPS: dict[str, Callable[[Rig, dict[str, str]], object]] = {
    "take VF1": lambda rig, ids: rig.take("one", ids[VF1.address]),
    "take VF2": lambda rig, ids: rig.take("two", ids[VF2.address]),
    "take PF": lambda rig, ids: rig.take("whole", ids[PF.address]),
    "drop VF1": lambda rig, _: rig.do(lambda c: claim_release(c, "one", NOW)),
    "drop VF2": lambda rig, _: rig.do(lambda c: claim_release(c, "two", NOW)),
    "drop PF": lambda rig, _: rig.do(lambda c: claim_release(c, "whole", NOW)),
    "clean VF1": lambda rig, ids: rig.cleaned(ids[VF1.address]),
    "clean VF2": lambda rig, ids: rig.cleaned(ids[VF2.address]),
    "spoil VF2": lambda rig, ids: rig.cleaned(ids[VF2.address], problem="stuck"),
    "again VF2": lambda rig, ids: rig.do(lambda c: device_clean_again(c, ids[VF2.address], NOW)),
    "clean PF": lambda rig, ids: rig.cleaned(ids[PF.address]),
    "VF1 away": lambda rig, _: rig.facts(PF, VF2, VFS[2]),
    "VF2 away": lambda rig, _: rig.facts(PF, VF1, VFS[2]),
    "VFs away": lambda rig, _: rig.facts(PF),
    "all there": lambda rig, _: rig.facts(PF, *VFS),
    "another PF": lambda rig, _: rig.facts(replace(PF, product_id="1521"), *VFS),
}
STORIES = {
    "a part": ["take VF1", 1, "drop VF1", 1, "clean VF1", 0],
    "the whole": ["take PF", "whole", "drop PF", "whole", "clean PF", 0, "take VF1", 1],
    "a quarantined part bars, until it is clean": [
        *("take VF2", "drop VF2", "spoil VF2", 1, "again VF2", 1, "clean VF2", 0),
    ],
    "a held part that went away counts": ["take VF1", "VF1 away", 1, "all there", 1],
    "a part in cleaning goes away, and a late answer comes": [
        *("take VF1", "take VF2", "drop VF2", 2, "VF2 away", 1, "clean VF2", 1),
        *("all there", 2, "clean VF2", 1),
    ],
    "the same, and nothing is held": [
        *("take VF2", "drop VF2", "VF2 away", 0, "clean VF2", 0, "all there", 1, "clean VF2", 0),
    ],
    "a part is given back while it is away": [
        *("take VF1", "VF1 away", 1, "drop VF1", 0, "all there", 1, "clean VF1", 0, "take PF"),
        "whole",
    ],
    "a dirty part comes back to a card held whole": [
        *("take VF1", "drop VF1", "VFs away", 0, "take PF", "whole", "all there", "whole"),
        *("drop PF", "whole", "clean PF", 1, "clean VF1", 0),
    ],
    "the PF is another one": ["take VF1", 1, "another PF", 1, "all there", 1],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_card_counts_what_its_devices_are_after_every_step(
    rig: Rig, story: list[str | int]
) -> None:
    ids = dict(rig.ids)
    for at, step in enumerate(story):
        if isinstance(step, str) and step in STEPS:
            STEPS[step](rig, ids)
            continue
        expected = (None, step) if isinstance(step, int) else (step, 0)
        assert rig.card(ids[PF.address]) == expected, story[:at]


def at(bus: str, *told: DeviceRow) -> list[DeviceRow]:
    """The same functions, on another bus."""
    return [
        replace(
            one,
            address=one.address.replace(":21:", f":{bus}:"),
            parent=one.parent and one.parent.replace(":21:", f":{bus}:"),
        )
        for one in told
    ]


def test_a_held_part_does_not_go_with_another_card(rig: Rig) -> None:
    old, vf = rig.ids[PF.address], rig.ids[VF1.address]
    rig.take("one", vf)
    rig.facts(replace(PF, product_id="1521"), *VFS)
    assert rig.ids[VF1.address] != vf
    assert rig.card(old) == (None, 1)
    rows = rig.rows()
    assert (rows[vf]["state"], rows[vf]["present"]) == ("held", False)
    fresh = rows[rig.ids[VF1.address]]
    assert fresh["state"] == "quarantined"
    assert fresh["state_reason"] == (
        f"of PF {PF.address}: another card is at this address: "
        "8086:1521 type-PF, was 8086:10c9 type-PF"
    )
    rig.facts(PF, *VFS)
    assert rig.ids[VF1.address] == vf


def test_another_card_is_nobodys_until_it_was_cleaned(rig: Rig) -> None:
    rig.facts(replace(PF, serial="a"), *VFS)
    rig.facts(replace(PF, serial="b"), *VFS)
    new, vf = rig.ids[PF.address], rig.ids[VF1.address]
    assert rig.rows()[new]["state_reason"] == ("another card is at this address: serial b, was a")
    with pytest.raises(Conflict):
        rig.take("one", vf)
    for one in rig.ids.values():
        assert rig.do(partial(device_clean_again, device_id=one, now=NOW)) == HOST
        assert rig.cleaned(one)
    assert rig.card(new) == (None, 0)
    rig.take("one", vf)


def test_another_card_is_offered_at_once_where_that_is_configured_and_nothing_was_held(
    rig: Rig,
) -> None:
    held = rig.ids[VF1.address]
    rig.take("one", held)
    other = [replace(PF, serial="b", product_id="1521"), *VFS]
    merged = rig.do(lambda c: devices_merge(c, HOST, other, NOW, accept_exchanged=True))
    rows = rig.rows()
    assert {one: rows[id_]["state"] for one, id_ in merged.ids.items()} == {
        PF.address: "available",
        VF1.address: "quarantined",
        VF2.address: "available",
        VFS[2].address: "available",
    }
    (aside,) = merged.aside
    assert (aside.address, aside.before, aside.holder) == (VF1.address, held, "one")


def test_a_card_that_moved_keeps_its_rows_its_holder_and_its_history(rig: Rig) -> None:
    card_told = [replace(PF, serial="a"), *VFS]
    rig.facts(*card_told)
    before, vf = dict(rig.ids), rig.ids[VF1.address]
    rig.take("one", vf)
    rig.take("two", rig.ids[VF2.address])
    rig.do(lambda c: claim_release(c, "two", NOW))
    merged = rig.do(lambda c: devices_merge(c, HOST, at("41", *card_told), LATER))
    assert list(merged.ids.values()) == list(before.values())
    assert {(one.before, one.address) for one in merged.moved} == {
        (one.address, new.address) for one, new in zip(card_told, at("41", *card_told), strict=True)
    }
    rows = rig.rows()
    assert rows.keys() == set(before.values())
    moved = rows[vf]
    assert (moved["address"], moved["state"], moved["present"]) == ("0000:41:10.0", "held", True)
    assert (moved["moved_from"], moved["moved_at"]) == (VF1.address, LATER)
    assert rows[before[VF2.address]]["state"] == "cleaning"
    assert rig.card(before[PF.address]) == (None, 2)


def test_two_cards_that_change_places_are_told_apart_by_serial(rig: Rig) -> None:
    one, two = [replace(PF, serial="a"), *VFS], at("41", replace(PF, serial="b"), *VFS)
    rig.facts(*one, *two)
    before = dict(rig.ids)
    rig.take("one", before[VF1.address])
    rig.facts(*at("41", *one), *(replace(fact, **_on_bus_21(fact)) for fact in two))
    for here, there in zip(one, two, strict=True):
        assert rig.ids[here.address] == before[there.address]
        assert rig.ids[there.address] == before[here.address]
    assert {row["state"] for row in rig.rows().values()} == {"available", "held"}


def _on_bus_21(fact: DeviceRow) -> dict[str, Any]:
    back = fact.parent and fact.parent.replace(":41:", ":21:")
    return {"address": fact.address.replace(":41:", ":21:"), "parent": back}


def test_an_unchanged_host_changes_no_row(rig: Rig) -> None:
    rig.facts(replace(PF, serial="a", slot="3"), *VFS)
    before = rig.rows()
    rig.facts(replace(PF, serial="a", slot="3"), *VFS)
    assert rig.rows() == before


def test_only_its_own_host_closes_a_devices_cleaning(rig: Rig) -> None:
    vf = rig.ids[VF1.address]
    rig.take("one", vf)
    rig.do(lambda c: claim_release(c, "one", NOW))
    assert not rig.cleaned(vf, host_id=ELSEWHERE)
    assert rig.rows()[vf]["state"] == "cleaning"
    assert rig.cleaned(vf)


class Life(RuleBasedStateMachine):
    """Whatever happens in whatever order, cards say what their devices are."""

    @initialize()
    def start(self) -> None:
        self.rigging = made()
        self.rig = self.rigging.__enter__()
        self.consumers = 0

    def teardown(self) -> None:
        if hasattr(self, "rigging"):
            self.rigging.__exit__(None, None, None)

    def _any(self, data: st.DataObject) -> sa.RowMapping:
        rows = sorted(self.rig.rows().values(), key=lambda row: (row["address"], row["present"]))
        return data.draw(st.sampled_from(rows), label="device")

    @rule(data=st.data(), two=st.booleans())
    def take(self, data: st.DataObject, two: bool) -> None:
        picked = {row["id"]: row for row in (self._any(data) for _ in range(1 + two))}
        self.consumers += 1
        free = len(picked) == 1 and all(map(self._is_free, picked.values()))
        try:
            self.rig.take(f"c{self.consumers}", *picked)
        except Conflict:
            assert not free, "a free device could not be had"
        else:
            assert free or len(picked) == 2

    def _is_free(self, row: sa.RowMapping) -> bool:
        rows = self.rig.rows()
        if not (row["present"] and row["state"] == "available"):
            return False
        if row["pf_id"] is not None:
            return bool(rows[row["pf_id"]]["state"] == "available")
        return not bars(rows, row["id"])

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        with self.rig.engine.connect() as connection:
            holders = sorted(set(connection.scalars(sa.select(claim.c.consumer_id))))
        if holders:
            holder = data.draw(st.sampled_from(holders), label="holder")
            assert self.rig.do(lambda c: claim_release(c, holder, NOW))

    @rule(data=st.data(), clean=st.booleans(), own=st.booleans())
    def cleaned(self, data: st.DataObject, clean: bool, own: bool) -> None:
        row = self._any(data)
        closes = own and row["present"] and row["state"] == "cleaning"
        problem = "" if clean else "stuck"
        host_id = HOST if own else ELSEWHERE
        assert self.rig.cleaned(row["id"], problem=problem, host_id=host_id) == closes

    @rule(data=st.data())
    def clean_again(self, data: st.DataObject) -> None:
        row = self._any(data)
        host_id = self.rig.do(lambda c: device_clean_again(c, row["id"], NOW))
        assert host_id == (HOST if row["state"] == "quarantined" else None)

    @rule(
        vfs=st.sets(st.sampled_from(range(len(VFS)))),
        serial=st.sampled_from([None, "a", "b"]),
        bus=st.sampled_from(["21", "41"]),
    )
    def facts(self, vfs: set[int], serial: str | None, bus: str) -> None:
        told = [VFS[number] for number in sorted(vfs)]
        self.rig.facts(*at(bus, replace(PF, serial=serial), *told))

    @rule(swapped=st.booleans())
    def two_cards(self, swapped: bool) -> None:
        one, two = replace(PF, serial="a"), replace(PF, serial="b")
        first, second = (two, one) if swapped else (one, two)
        self.rig.facts(*at("21", first, *VFS), *at("41", second, *VFS))

    @rule()
    def no_card(self) -> None:
        self.rig.facts()

    @invariant()
    def cards_are_true(self) -> None:
        if not hasattr(self, "rig"):
            return
        rows = self.rig.rows()
        with self.rig.engine.connect() as connection:
            holder = dict(
                map(tuple, connection.execute(sa.select(claim.c.device_id, claim.c.consumer_id)))
            )
        assert holder.keys() == {key for key, row in rows.items() if row["state"] == "held"}
        for pf_id, pf in rows.items():
            if pf["dev_type"] != "type-PF":
                continue
            whole, parts = self.rig.card(pf_id)
            assert (whole is None) == (pf["state"] == "available")
            assert pf["state"] != "held" or whole == holder[pf_id]
            assert parts == (bars(rows, pf_id) if whole is None else 0)
            mine = [row for row in rows.values() if row["pf_id"] == pf_id]
            assert whole is None or not any(row["state"] == "held" for row in mine)


def bars(rows: dict[str, sa.RowMapping], pf_id: str) -> int:
    """How many VFs of a PF keep it from being held whole."""
    dirty = ("cleaning", "quarantined")
    mine = [row for row in rows.values() if row["pf_id"] == pf_id]
    return sum(row["state"] == "held" or (row["present"] and row["state"] in dirty) for row in mine)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=size(20, 200), stateful_step_count=30, deadline=None, derandomize=True
)

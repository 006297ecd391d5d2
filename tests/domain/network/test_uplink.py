"""When what a PF hangs on counts as down, and when as up again."""

import pytest

from lanekeeper.domain.network.uplink import Patience, Uplink, first, why_down

# Actor_State of IEEE 802.1AX: active 1, aggregatable 4, in sync 8, collecting 0x10, distributing
# 0x20, defaulted 0x40, expired 0x80: 0x3d carries, of 0x45 the switch is silent.
PATIENCE = Patience(down_s=2, up_s=10)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Uplink(), ""),
        (Uplink(carrier=True), ""),
        (Uplink(carrier=False), "it has no link"),
        (Uplink(carrier=True, bond="bond0", monitored=True), ""),
        (Uplink(carrier=True, bond="bond0", monitored=False), "bond0 takes it for down"),
        (Uplink(carrier=True, bond="bond0", monitored=True, lacp=0x3D), ""),
        (
            Uplink(carrier=True, bond="bond0", monitored=True, lacp=0x45),
            "its switch does not speak LACP to bond0",
        ),
        (
            Uplink(carrier=True, bond="bond0", lacp=0x3D | 0x80),
            "its switch does not speak LACP to bond0",
        ),
        (Uplink(carrier=True, bond="bond0", lacp=0x0D), "LACP keeps it out of bond0"),
        (Uplink(carrier=True, bond="bond0", lacp=0x1D), "LACP keeps it out of bond0"),
    ],
)
def test_what_passes_nothing_says_why(found: Uplink, why: str) -> None:
    assert why_down(found) == why


def test_what_was_read_first_has_to_last_too() -> None:
    down, up = first("it has no link", 5.0), first("", 5.0)
    assert down.down == ""
    assert down.follow("it has no link", 7.0, PATIENCE).down == "it has no link"
    assert [up.is_sure(at, PATIENCE) for at in (5.0, 14.9, 15.0)] == [False, False, True]
    assert not down.is_sure(99.0, PATIENCE)


def test_what_may_have_been_wrong_before_counts_at_once() -> None:
    down, up = first("it has no link", 5.0, at_once=True), first("", 5.0, at_once=True)
    assert (down.down, up.down) == ("it has no link", "")
    assert down.follow("", 14.9, PATIENCE).down == "it has no link"
    assert not up.is_sure(5.0, PATIENCE)


def test_what_is_wrong_has_to_last_and_what_is_well_longer() -> None:
    now = first("", 0.0)
    moments = [
        (1, "no link", ""),
        (2.9, "no link", ""),
        (3, "no link", "no link"),
        (4, "", "no link"),
        (13.9, "", "no link"),
        (14, "", ""),
    ]
    for at, why, down in moments:
        now = now.follow(why, at, PATIENCE)
        assert (at, now.down) == (at, down)


def test_a_loose_cable_has_nobody_come_and_go() -> None:
    now = first("", 0.0)
    for at in range(1, 60):
        now = now.follow("no link" if at % 2 else "", float(at), PATIENCE)
        assert now.down == ""
    now = now.follow("no link", 60.0, PATIENCE).follow("no link", 62.0, PATIENCE)
    assert now.down
    for at in range(63, 120):
        now = now.follow("" if at % 9 else "no link", float(at), PATIENCE)
        assert now.down


def test_another_reason_begins_no_new_wait() -> None:
    now = first("", 0.0).follow("no link", 1.0, PATIENCE)
    assert now.follow("LACP", 3.0, PATIENCE).down == "LACP"

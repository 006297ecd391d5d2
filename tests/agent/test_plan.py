from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.orders_of import cleaning, nic, server, server_id, vf
from lanekeeper.agent.plan import (
    Action,
    ApplyVfSettings,
    AttachNic,
    CleanDevice,
    DestroyGuest,
    DetachDevice,
    Observed,
    PauseGuest,
    RecordGeneration,
    RestartGuest,
    StartGuest,
    StopGuest,
    plan,
)
from lanekeeper.agent.task import task_of
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings
from lanekeeper.hypervisor.driver import Guest, HeldDevice, Inventory, Power, Stranger
from lanekeeper.protocol import CleaningWanted, Desired, ServerWanted

ONE = server_id(1)


def at(index: int) -> PciAddress:
    return PciAddress.parse(vf(index).address)


def guest(power: Power, generation: int = 1, reboots: int = 0, holds: int | None = None) -> Guest:
    devices = () if holds is None else (HeldDevice(at(holds), None),)
    return Guest(id=ONE, power=power, generation=generation, reboots=reboots, devices=devices)


def seen(*guests: Guest) -> Observed:
    return Observed(inventory=Inventory(guests))


@pytest.mark.parametrize(
    ("wanted", "there", "action"),
    [
        # wanted: power, generation, reboots; there: power, generation, reboots
        (("running", 1, 0), None, StartGuest),
        (("running", 1, 0), ("stopped", 0, 0), StartGuest),  # defined, then the agent was killed
        (("running", 1, 0), ("paused", 0, 0), StartGuest),  # started, then the agent was killed
        (("running", 1, 0), ("running", 0, 0), RecordGeneration),  # resumed, then killed
        (("running", 1, 0), ("running", 1, 0), None),
        (("running", 1, 0), ("stopped", 1, 0), None),  # it ended by itself: told, not restarted
        (("running", 1, 0), ("crashed", 1, 0), None),
        (("running", 1, 0), ("paused", 1, 0), None),  # somebody paused it by hand
        (("running", 2, 1), ("running", 1, 0), RestartGuest),
        (("running", 2, 1), ("running", 1, 1), RecordGeneration),  # rebooted, then killed
        (("running", 2, 1), ("stopped", 1, 0), StartGuest),
        (("running", 2, 0), ("stopped", 1, 0), StartGuest),
        (("running", 2, 0), ("running", 3, 0), None),  # an order that comes late
        (("stopped", 2, 0), None, StopGuest),
        (("stopped", 2, 0), ("running", 1, 0), StopGuest),
        (("stopped", 2, 0), ("paused", 1, 0), StopGuest),
        (("stopped", 2, 0), ("stopped", 1, 0), RecordGeneration),
        (("stopped", 2, 0), ("stopped", 2, 0), None),
        (("stopped", 2, 0), ("running", 2, 0), StopGuest),  # somebody started it by hand
    ],
)
def test_what_one_server_needs(
    wanted: tuple[str, int, int],
    there: tuple[Power, int, int] | None,
    action: type[Action] | None,
) -> None:
    power, generation, reboots = wanted
    one = server(1, generation, power=power, reboots=reboots)
    observed = seen(guest(*there)) if there else seen()
    planned = plan(Desired(generation=1, mark="m", servers=[one]), observed)
    assert [type(each) for each in planned] == ([action] if action else [])


@pytest.mark.parametrize(
    ("generation", "there", "action"),
    [
        (2, guest("running"), PauseGuest),
        (2, guest("paused"), RecordGeneration),  # paused, then the agent was killed
        (2, guest("paused", 2), None),
        (2, guest("running", 2), None),  # somebody lets it run by hand: told, and so it is
        (2, guest("stopped"), RecordGeneration),
        (2, guest("stopped", 2), None),
        (2, guest("running", 3), None),
    ],
)
def test_what_a_server_needs_that_is_to_be_paused(
    generation: int, there: Guest, action: type[Action] | None
) -> None:
    one = server(1, generation, paused=True)
    planned = plan(Desired(generation=1, mark="m", servers=[one]), seen(there))
    assert [type(each) for each in planned] == ([action] if action else [])
    assert plan(Desired(generation=1, mark="m", servers=[one]), seen()) == (StopGuest(one),)
    resumed = server(1, 3)
    on = plan(Desired(generation=1, mark="m", servers=[resumed]), seen(guest("paused", 2)))
    assert on == (StartGuest(resumed),)


def test_a_tombstone_is_stronger_than_the_wish() -> None:
    desired = Desired(generation=1, mark="m", servers=[server(1)], absent=[ONE])
    assert plan(desired, seen(guest("running"))) == (DestroyGuest(ONE),)
    assert plan(desired, seen()) == ()
    assert plan(desired, Observed(files=frozenset({ONE}))) == (DestroyGuest(ONE),)


def test_a_device_is_cleaned_once_a_round_and_after_its_guest_is_gone() -> None:
    desired = Desired(generation=1, mark="m", absent=[ONE], cleaning=[cleaning(vf(3), 2)])
    assert plan(desired, seen(guest("running", holds=3))) == (DestroyGuest(ONE),)
    assert plan(desired, seen()) == (CleanDevice(cleaning(vf(3), 2)),)
    device_id = vf(3).device_id
    assert plan(desired, Observed(cleaned={device_id: 1})) == (CleanDevice(cleaning(vf(3), 2)),)
    assert plan(desired, Observed(cleaned={device_id: 2})) == ()


def test_a_device_in_a_strangers_hands_is_tried_so_that_the_refusal_is_told() -> None:
    desired = Desired(generation=1, mark="m", cleaning=[cleaning(vf(3))])
    stranger = Observed(inventory=Inventory(strangers=(Stranger("other", True, (at(3),)),)))
    assert plan(desired, stranger) == (CleanDevice(cleaning(vf(3))),)


RIGHT = VfSettings(mac="fa:16:3e:00:00:03", vlan=15, spoofchk=True, trust=False)


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (RIGHT, ()),
        (replace(RIGHT, vlan=0), ("vlan",)),
        (replace(RIGHT, mac=None, spoofchk=False), ("mac", "spoofchk")),
        (replace(RIGHT, link_state=LinkState.DISABLE), ("link_state",)),
        (replace(RIGHT, max_tx_rate=100), ("rates",)),
        (replace(RIGHT, spoofchk=None, trust=None, link_state=None), ()),  # not reported
    ],
)
def test_settings_that_a_running_guest_lost_are_written_again(
    found: VfSettings, lost: tuple[str, ...]
) -> None:
    one = server(1, nics=[nic(3)])
    desired = Desired(generation=1, mark="m", servers=[one])
    observed = replace(seen(guest("running", holds=3)), vf_settings={at(3): found})
    expected = (ApplyVfSettings(one, nic(3), lost),) if lost else ()
    assert plan(desired, observed) == expected


@pytest.mark.parametrize(
    ("had", "taken"),
    [
        (VfChange(vlan=15, rates=(0, 0)), ("vlan",)),  # another rate is wanted since
        (VfChange(vlan=14, rates=(0, 9)), ("rates",)),
        (None, ()),  # whether it ever was as wanted nobody knows
    ],
)
def test_what_something_else_changed_is_told_from_what_is_wanted_otherwise(
    had: VfChange | None, taken: tuple[str, ...]
) -> None:
    card = msgspec.structs.replace(nic(3), max_tx_mbps=9)
    observed = replace(
        seen(guest("running", holds=3)),
        vf_settings={at(3): replace(RIGHT, vlan=99)},
        settled={} if had is None else {card.port_id: had},
    )
    one = server(1, nics=[card])
    (action,) = plan(Desired(generation=1, mark="m", servers=[one]), observed)
    assert action == ApplyVfSettings(one, card, ("vlan", "rates"), taken)


def test_cards_of_a_running_guest_come_and_go_before_the_note_is_made() -> None:
    both = server(1, generation=2, nics=[nic(3), nic(4)])
    here = guest("running", generation=1, holds=3)
    assert plan(Desired(generation=2, mark="m", servers=[both]), seen(here)) == (
        AttachNic(both, nic(4)),
    )
    none = server(1, generation=2, leaving=[vf(3).address])
    assert plan(Desired(generation=2, mark="m", servers=[none]), seen(here)) == (
        DetachDevice(none, at(3)),
    )
    other = server(1, generation=2, nics=[nic(4)], leaving=[vf(3).address])
    goes, comes = plan(Desired(generation=2, mark="m", servers=[other]), seen(here))
    assert (goes, comes) == (DetachDevice(other, at(3)), AttachNic(other, nic(4)))
    assert task_of(goes).identity != task_of(comes).identity
    assert task_of(goes).endless


def test_a_card_that_is_named_nowhere_stays_with_its_guest() -> None:
    silent = server(1, generation=2)
    here = guest("running", generation=1, holds=3)
    assert plan(Desired(generation=2, mark="m", servers=[silent]), seen(here)) == (
        RecordGeneration(silent),
    )


def test_a_guest_that_is_off_gets_its_cards_when_it_starts() -> None:
    both = server(1, generation=2, power="stopped", nics=[nic(3), nic(4)])
    here = guest("stopped", generation=1, holds=3)
    assert plan(Desired(generation=2, mark="m", servers=[both]), seen(here)) == (
        RecordGeneration(both),
    )


def test_what_the_driver_does_not_know_is_not_written_for_ever() -> None:
    one = server(1, nics=[nic(3)])
    observed = replace(
        seen(guest("running", holds=3)),
        vf_settings={at(3): replace(RIGHT, link_state=LinkState.ENABLE)},
        unsupported={at(3): frozenset({"link_state"})},
    )
    assert plan(Desired(generation=1, mark="m", servers=[one]), observed) == ()


def test_a_trusted_guest_may_change_its_mac() -> None:
    one = server(1, nics=[nic(3, trusted=True)])
    changed = replace(RIGHT, mac="02:00:00:00:00:01", trust=True)
    observed = replace(seen(guest("running", holds=3)), vf_settings={at(3): changed})
    assert plan(Desired(generation=1, mark="m", servers=[one]), observed) == ()


numbers = st.integers(1, 6)
servers = st.builds(
    lambda number, generation, power, reboots, vf_index, paused: server(
        number, generation, power=power, reboots=reboots, nics=[nic(vf_index)], paused=paused
    ),
    numbers,
    st.integers(1, 3),
    st.sampled_from(["running", "stopped"]),
    st.integers(0, 2),
    st.integers(0, 6),
    st.booleans(),
)
cleanings = st.builds(lambda index, round_: cleaning(vf(index), round_), st.integers(0, 6), numbers)
desireds = st.builds(
    lambda servers, absent, cleanings: Desired(
        generation=1,
        mark="m",
        servers=list({one.id: one for one in servers}.values()),
        absent=[server_id(number) for number in absent],
        cleaning=list({one.device.device_id: one for one in cleanings}.values()),
    ),
    st.lists(servers, max_size=5),
    st.sets(numbers),
    st.lists(cleanings, max_size=4),
)
guests = st.builds(
    lambda number, power, generation, reboots, index: Guest(
        id=server_id(number),
        power=power,
        generation=generation,
        reboots=reboots,
        devices=(HeldDevice(at(index), None),),
    ),
    numbers,
    st.sampled_from(["running", "stopped", "paused", "crashed"]),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 6),
)
observeds = st.builds(
    lambda guests, files: Observed(
        inventory=Inventory(tuple({guest.id: guest for guest in guests}.values())),
        files=frozenset(server_id(number) for number in files),
    ),
    st.lists(guests, max_size=6),
    st.sets(numbers),
)


@given(desireds, observeds)
def test_absence_is_never_an_order(desired: Desired, observed: Observed) -> None:
    named: dict[str, ServerWanted] = {one.id: one for one in desired.servers}
    asked: list[CleaningWanted] = desired.cleaning
    for action in plan(desired, observed):
        match action:
            case DestroyGuest(gone):
                assert gone in desired.absent
            case CleanDevice(wanted):
                assert wanted in asked
            case _:
                assert named[action.server.id] is action.server
                assert action.server.id not in desired.absent


@given(desireds, observeds)
def test_each_order_gets_at_most_one_action_at_a_time(desired: Desired, observed: Observed) -> None:
    identities = [task_of(action).identity for action in plan(desired, observed)]
    assert len(identities) == len(set(identities))


@given(observeds)
def test_nothing_wanted_is_nothing_done(observed: Observed) -> None:
    assert plan(Desired(generation=1, mark="m"), observed) == ()

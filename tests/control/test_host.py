"""What hosts report: exchanged cards, dirty devices, rivals, lost history; and who may enrol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fleet import ADMIN, Fleet, fleet, lab_devices
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.adoption import adopt_host
from lanekeeper.control.host.desired import desired_of, desired_stamp
from lanekeeper.control.host.enrolment import authenticate_host, create_token, enrol
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.host.host import check_history, report_state
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict, Unauthenticated
from lanekeeper.protocol import CleaningState, DeviceFact, HostFacts, HostState
from lanekeeper.store.host.desired import desired_touch
from lanekeeper.store.tables import device, resource_provider
from statements import statements

PF = "0000:41:00.0"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        yield made


def tell(site: Fleet, devices: Sequence[DeviceFact], name: str = "h1") -> None:
    facts = HostFacts(
        host_name=name,
        vcpus=64,
        memory_mib=262144,
        disk_gib=2000,
        devices=list(devices),
        mappings={"physnet1": ["ens21f0"]},
    )
    report_facts(site.site, site.hosts[name], facts)


def card(serial: str) -> list[DeviceFact]:
    """What the host has, where the card without a network says *serial*."""
    return [
        msgspec.structs.replace(one, serial=serial) if one.address == PF else one
        for one in lab_devices()
    ]


def server(site: Fleet) -> str:
    """A running server with one VF of the card without a network; returns its id."""
    flavor = Flavor(
        id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1,
        extra_specs={"pci_passthrough:alias": "a1:1"},
    )  # fmt: skip
    asked = NewServer(
        name="s", image_id=site.image(), flavor_id=create_flavor(site.site, flavor).id
    )
    (made,) = create_servers(site.site, ADMIN, asked)
    site.report(made.id, "running")
    return made.id


def give_back(site: Fleet, server_id: str) -> CleaningState:
    """Delete the server; returns what its host would say of the VF's cleaning."""
    delete_server(site.site, ADMIN, server_id)
    site.report(server_id, "absent")
    (cleaning,) = desired_of(site.site, site.hosts["h1"]).cleaning
    return CleaningState(device_id=cleaning.device.device_id, round=cleaning.round, clean=True)


def providers(site: Fleet) -> set[str]:
    """What the providers of cards at the address are called, without the host's name."""
    with site.site.database.read() as connection:
        names = connection.scalars(sa.select(resource_provider.c.name))
        return {name.removeprefix("h1_") for name in names if PF in name}


def test_an_exchanged_card_takes_the_name_of_the_one_before_it(site: Fleet) -> None:
    for serial in ("aa-1", "bb-2", "aa-1"):
        tell(site, card(serial))
        assert providers(site) == {PF}


def test_the_provider_of_a_card_that_is_gone_stays_while_a_server_holds_of_it(site: Fleet) -> None:
    tell(site, card("aa-1"))
    held = server(site)
    tell(site, lab_devices()[:8])  # or no entry lists it any more
    assert providers(site) == {PF}
    tell(site, card("bb-2"))
    name, marked = sorted(providers(site))
    assert name == PF
    assert marked.startswith(f"{PF}#")
    tell(site, card("aa-1"))
    assert providers(site) == {PF}
    give_back(site, held)


def test_a_device_that_comes_back_dirty_is_ordered_to_be_cleaned(site: Fleet) -> None:
    host_id = site.hosts["h1"]
    cleaning = give_back(site, server(site))
    tell(site, lab_devices()[:8])
    assert desired_of(site.site, host_id).cleaning == []
    before, rung = desired_stamp(site.site, host_id), []
    site.site.bells.listen(host_id, lambda: rung.append(host_id))
    tell(site, lab_devices())
    assert desired_stamp(site.site, host_id) != before
    assert rung
    (wanted,) = desired_of(site.site, host_id).cleaning
    assert wanted.device.device_id == cleaning.device_id


def test_a_pf_that_has_another_interface_is_told_to_who_cleans_below_it(site: Fleet) -> None:
    give_back(site, server(site))
    before = desired_stamp(site.site, site.hosts["h1"])
    tell(site, lab_devices())
    assert desired_stamp(site.site, site.hosts["h1"]) == before
    renamed = [
        msgspec.structs.replace(one, netdev="lan0") if one.address == PF else one
        for one in lab_devices()
    ]
    tell(site, renamed)
    assert desired_stamp(site.site, site.hosts["h1"]) != before


def test_a_host_cannot_close_the_cleaning_of_anothers_device(site: Fleet) -> None:
    done = give_back(site, server(site))
    other = site.host("h2")
    report_state(site.site, other, HostState(cleaned=[done]))
    assert desired_of(site.site, site.hosts["h1"]).cleaning
    report_state(site.site, site.hosts["h1"], HostState(cleaned=[done]))
    assert not desired_of(site.site, site.hosts["h1"]).cleaning


def test_facts_that_arrive_together_are_taken_one_after_the_other(site: Fleet) -> None:
    with ThreadPoolExecutor(4) as pool:
        for serial in ("aa-1", "bb-2", "cc-3"):
            list(pool.map(lambda told: tell(site, told), [card(serial)] * 4))
    with site.site.database.read() as connection:
        there = sa.select(sa.func.count()).where(device.c.present)
        assert connection.scalar(there) == len(lab_devices())


def test_a_host_is_adopted_whose_generation_was_ordered_with_another_mark(site: Fleet) -> None:
    host_id = site.hosts["h1"]
    site.site.database.write(lambda connection: desired_touch(connection, host_id))
    generation = int(desired_stamp(site.site, host_id).split(".")[0])
    with pytest.raises(Conflict):
        check_history(site.site, host_id, f"{generation}.feedfeed")
    with pytest.raises(Conflict, match="has not told what it has since it was frozen"):
        adopt_host(site.site, ADMIN, host_id)
    tell(site, lab_devices())
    report_state(site.site, host_id, HostState())
    adopt_host(site.site, ADMIN, host_id)
    check_history(site.site, host_id, f"{generation}.feedfeed")
    assert desired_stamp(site.site, host_id).startswith(f"{generation + 1}.")


def test_a_question_that_comes_late_or_twice_freezes_nothing(site: Fleet) -> None:
    host_id, asked = site.hosts["h1"], [""]
    for obeys in (True, False, True, True, False):
        site.site.database.write(lambda connection: desired_touch(connection, host_id))
        asked.append(desired_stamp(site.site, host_id))
        if obeys:
            report_state(site.site, host_id, HostState(obeyed=asked[-1]))
        for after in asked:
            assert check_history(site.site, host_id, after).frozen_reason == ""


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_a_state_that_nobody_ordered_freezes_whatever_was_obeyed_before(
    site: Fleet, ahead: int
) -> None:
    host_id = site.hosts["h1"]
    site.site.database.write(lambda connection: desired_touch(connection, host_id))
    obeyed = desired_stamp(site.site, host_id)
    report_state(site.site, host_id, HostState(obeyed=obeyed))
    site.site.database.write(lambda connection: desired_touch(connection, host_id))
    generation = int(obeyed.split(".")[0])
    with pytest.raises(Conflict, match="never ordered"):
        check_history(site.site, host_id, f"{generation + ahead}.feedfeed")
    with pytest.raises(Conflict, match="frozen"):  # nor does what it says next thaw it
        check_history(site.site, host_id, obeyed)


def test_what_was_asked_before_a_host_was_adopted_may_come_late(site: Fleet) -> None:
    host_id = site.hosts["h1"]
    for after in ("90.feedfeed", "89.feed", "91.feedfeed", "90.feedfeed"):
        with pytest.raises(Conflict):
            check_history(site.site, host_id, after)
    tell(site, lab_devices())
    report_state(site.site, host_id, HostState())
    adopt_host(site.site, ADMIN, host_id)
    for after in ("89.feed", "90.feedfeed", "91.feedfeed"):
        assert check_history(site.site, host_id, after).frozen_reason == ""
    with pytest.raises(Conflict):
        check_history(site.site, host_id, "92.feed")


def test_no_host_comes_in_by_the_id_of_another(site: Fleet) -> None:
    token = create_token(site.site, "evil")
    with pytest.raises(Conflict, match="host_id"):
        enrol(site.site, token, site.hosts["h1"], "evil")


def test_a_known_host_comes_again_only_by_a_token_for_its_name(site: Fleet) -> None:
    host_id = site.hosts["h1"]
    with pytest.raises(Unauthenticated, match="was not made for it"):
        enrol(site.site, create_token(site.site), host_id, "h1")
    credential = enrol(site.site, create_token(site.site, "h1"), host_id, "h1")
    assert authenticate_host(site.site, credential, "req").user_id == host_id


def test_what_an_agent_asks_all_the_time_costs_no_long_reading(site: Fleet) -> None:
    """Its credential is found by an index, and nobody decodes the facts of its host."""
    host_id = site.hosts["h1"]
    credential = enrol(site.site, create_token(site.site, "h1"), host_id, "h1")
    site.site.database.write(lambda connection: desired_touch(connection, host_id))
    with statements() as said:
        authenticate_host(site.site, credential, "req")
        check_history(site.site, host_id, desired_stamp(site.site, host_id))
        desired_of(site.site, host_id)
    assert not [one.text for one in said if re.search(r"\bfacts\b", one.text)]
    (looked_up,) = (one for one in said if "next_credential_hash =" in one.text)
    with site.site.database.read() as connection:
        plan = looked_up.plan(connection)
    assert "ix_host_credential_hash" in plan
    assert "ix_host_next_credential_hash" in plan

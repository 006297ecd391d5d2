"""Simulated hosts that are one captured machine have MACs of their own."""

from pathlib import Path

import pytest

from host.planted import PF
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.simulated_mac import own_mac
from lanekeeper.host.simulated_shared import Pattern, SharedMachine, planted


def macs(machine: SimulatedMachine | SharedMachine) -> set[str]:
    found = [one.mac for one in machine.scan().devices if one.mac]
    assert len(found) == len(set(found)) == 3
    return set(found)


def test_machines_that_are_planted_for_hosts_share_no_mac(tmp_path: Path) -> None:
    hosts = [SimulatedMachine(planted(tmp_path / name, None, name)) for name in ("h1", "h2")]
    captured = SimulatedMachine(planted(tmp_path / "captured", None))
    assert len(set.union(*map(macs, (*hosts, captured)))) == 9
    assert {own_mac("h1", one) for one in macs(captured)} == macs(hosts[0])


def test_a_shared_machine_has_the_same_macs_before_and_after_it_is_its_own(tmp_path: Path) -> None:
    pattern = Pattern(planted(tmp_path / "pattern", None))
    machine = SharedMachine(pattern, tmp_path / "m1", "h1")
    before = macs(machine)
    assert before == macs(SimulatedMachine(planted(tmp_path / "h1", None, "h1")))
    assert machine.device(PF).mac in before
    machine.set_link(PF, False)
    assert not machine.is_shared
    assert macs(machine) == macs(SharedMachine(pattern, tmp_path / "m1", "h1")) == before
    assert machine.device(PF).mac in before


@pytest.mark.parametrize(
    ("captured", "kept"),
    [
        ("00:00:00:00:00:00", "00:00:00:00:00:00"),
        ("80:00", "80:00"),
        ("80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c", "80:00:02:08:fe:80"),
    ],
)
def test_what_is_no_mac_keeps_what_is_none(captured: str, kept: str) -> None:
    made = own_mac("h1", captured)
    assert made.startswith(kept)
    assert (len(made), made == captured) == (len(captured), kept == captured)


def test_a_mac_is_of_one_interface_and_locally_made() -> None:
    for number in range(200):
        first = int(own_mac(f"h{number}", "52:54:00:aa:01:01")[:2], 16)
        assert first & 0b11 == 0b10

"""A simulated machine whose buses are called otherwise is the same machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.simulated_bus import insert_card, renumber

A, B, C = (PciAddress.parse(f"0000:{bus}:00.0") for bus in ("21", "41", "c1"))
ONE, TWO = "00-1b-21-ff-ff-aa-01-01", "00-1b-21-ff-ff-aa-01-02"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant_lab(tmp_path / "machine")


def scanned(root: Path) -> dict[PciAddress, PciDevice]:
    return {device.address: device for device in SimulatedMachine(root).scan().devices}


def test_a_card_says_the_serial_that_it_was_given(root: Path) -> None:
    insert_card(root, A, ONE)
    assert scanned(root)[A].serial == ONE
    insert_card(root, A, TWO)
    assert scanned(root)[A].serial == TWO
    assert scanned(root)[B].serial is None
    with pytest.raises(Invalid, match="is not eight bytes"):
        insert_card(root, A, "ff")
    with pytest.raises(NotFound, match=r"no function sits at 0000:c1:00\.0"):
        insert_card(root, C, ONE)


@pytest.mark.parametrize(
    "buses",
    [{"0000:21": "0000:c1"}, {"0000:21": "0000:41", "0000:41": "0000:21"}],
    ids=["moved", "exchanged"],
)
def test_everything_is_there_at_the_new_addresses(root: Path, buses: dict[str, str]) -> None:
    insert_card(root, A, ONE)
    machine = SimulatedMachine(root)
    machine.write_vf_settings(A, 3, VfChange(vlan=15))
    before = machine.scan().devices

    def at(address: PciAddress) -> PciAddress:
        bus, colon, rest = str(address).rpartition(":")
        return PciAddress.parse(f"{buses.get(bus, bus)}{colon}{rest}")

    renumber(root, buses)
    machine = SimulatedMachine(root)
    found = machine.scan()
    assert found.faults == ()
    assert {device.address: device for device in found.devices} == {
        at(one.address): replace(
            one, address=at(one.address), parent=at(one.parent) if one.parent else None
        )
        for one in before
    }
    assert machine.vf_settings(at(A), 3).vlan == 15
    assert machine.vf_settings(at(B), 3).vlan == 0
    vf = machine.vf_addresses(at(A))[3]
    machine.bind(vf, "vfio-pci")
    assert machine.device(vf).driver == "vfio-pci"
    machine.create_vfs(at(A), 0)
    assert machine.vf_addresses(at(A)) == {}


def test_what_makes_no_sense_changes_nothing(root: Path) -> None:
    before = scanned(root)
    with pytest.raises(Invalid, match="two buses would be called 0000:41"):
        renumber(root, {"0000:21": "0000:41"})
    with pytest.raises(Invalid, match="there is no bus 0000:99; there are 0000:00"):
        renumber(root, {"0000:99": "0000:9a"})
    assert scanned(root) == before

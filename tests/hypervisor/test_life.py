"""The life of a guest, the same on every hypervisor: records, and QEMU under a real libvirt."""

from pathlib import Path

import pytest

from hypervisor.blueprints import ID, device, server
from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.driver import Blueprint, Guest, GuestFiles, Hypervisor
from lanekeeper.hypervisor.simulated import SimulatedHypervisor


@pytest.fixture(params=["simulated", pytest.param("libvirt", marks=pytest.mark.service)])
def hypervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Hypervisor:
    if request.param == "libvirt":
        found: Hypervisor = request.getfixturevalue("libvirt_hypervisor")
        return found
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))
    return SimulatedHypervisor(tmp_path / "guests.json", machine)


@pytest.fixture
def blueprint(hypervisor: Hypervisor, tmp_path: Path) -> Blueprint:
    base, disk = tmp_path / "base.raw", tmp_path / "disk.qcow2"
    base.write_bytes(bytes(1 << 20))
    hypervisor.create_disk(disk, base, "raw", 1)
    drive = tmp_path / "config.iso"
    drive.write_bytes(bytes(1 << 16))
    return Blueprint(
        server=server(vcpus=1, memory_mib=32, reboots=4),
        files=GuestFiles(console=tmp_path / "console.log", disk=disk, config_drive=drive),
    )


def only(hypervisor: Hypervisor) -> Guest:
    (guest,) = hypervisor.inventory().guests
    return guest


def test_a_guest_goes_through_its_whole_life(hypervisor: Hypervisor, blueprint: Blueprint) -> None:
    assert hypervisor.inventory().guests == ()
    for _ in range(2):  # each step may be taken twice
        hypervisor.define(blueprint)
    assert only(hypervisor) == Guest(id=ID, power="stopped", generation=0, reboots=4)
    for _ in range(2):
        hypervisor.start_paused(ID)
    assert only(hypervisor).power == "paused"
    for _ in range(2):
        hypervisor.resume(ID)
    hypervisor.record(ID, 7)
    assert only(hypervisor) == Guest(id=ID, power="running", generation=7, reboots=4)
    for _ in range(2):
        hypervisor.power_off(ID)
    assert only(hypervisor) == Guest(id=ID, power="stopped", generation=7, reboots=4)
    hypervisor.define(blueprint)
    assert only(hypervisor).generation == 7
    for _ in range(2):
        hypervisor.undefine(ID)
    assert hypervisor.inventory().guests == ()


def test_a_stopped_guest_keeps_what_is_recorded(
    hypervisor: Hypervisor, blueprint: Blueprint
) -> None:
    hypervisor.define(blueprint)
    hypervisor.record(ID, 5)
    hypervisor.start_paused(ID)
    assert only(hypervisor).generation == 5
    hypervisor.shut_down(ID)
    hypervisor.power_off(ID)
    assert only(hypervisor).generation == 5


def test_a_guest_is_paused_and_goes_on(hypervisor: Hypervisor, blueprint: Blueprint) -> None:
    hypervisor.define(blueprint)
    hypervisor.start_paused(ID)
    hypervisor.resume(ID)
    for act, power in ((hypervisor.pause, "paused"), (hypervisor.resume, "running")):
        for _ in range(2):
            act(ID)
            assert only(hypervisor).power == power
    hypervisor.power_off(ID)
    with pytest.raises(HostFault):
        hypervisor.pause(ID)


def test_what_is_not_there_can_be_ended_but_not_begun(hypervisor: Hypervisor) -> None:
    hypervisor.power_off(ID)
    hypervisor.undefine(ID)
    for act in (hypervisor.start_paused, hypervisor.resume, hypervisor.pause):
        with pytest.raises(NotFound, match=ID):
            act(ID)


def test_a_device_that_does_not_exist_is_refused(
    hypervisor: Hypervisor, blueprint: Blueprint, tmp_path: Path
) -> None:
    wanted = server(memory_mib=32, devices=[device("00ff:1f:1f.7")])
    hypervisor.define(Blueprint(server=wanted, files=blueprint.files))
    with pytest.raises((HostFault, NotFound), match=r"00ff:1f:1f|passthrough"):
        hypervisor.start_paused(ID)
    assert only(hypervisor).power == "stopped"


def test_the_host_has_a_size(hypervisor: Hypervisor) -> None:
    size = hypervisor.capacity()
    assert size.hypervisor == "qemu"
    assert size.version >= 7_000_000
    assert sum(len(cell.cpus) for cell in size.cells) == size.vcpus > 0
    assert sum(cell.memory_mib for cell in size.cells) == pytest.approx(size.memory_mib, rel=0.01)

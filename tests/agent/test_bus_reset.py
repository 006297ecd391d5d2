"""A card that the kernel resets with its bus only: all of it is cleaned, and nobody else is hit."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hypervisor.blueprints import device, server
from lanekeeper.agent.cleaning import Cleaner, CleaningFailed, CleaningWaits
from lanekeeper.agent.driver_record import DriverRecord
from lanekeeper.agent.observe import view
from lanekeeper.agent.policy import Policy
from lanekeeper.clock import monotonic
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device_spec import parse_option
from lanekeeper.domain.pci.unit import units
from lanekeeper.host.bus_reset import BusReset
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.protocol import CleaningWanted, DeviceWanted

BRIDGE = "0000:00:1c.0"
GPU, SOUND = "0000:51:00.0", "0000:51:00.1"
WHOLE = '{"vendor_id": "10de", "address": "0000:51:00.*"}'
WANTED = CleaningWanted(
    device=DeviceWanted(device_id="d", address=GPU, vendor_id="10de", product_id="1db6"), round=1
)
ONE = '{"vendor_id": "10de", "address": "0000:51:00.0"}'


def function(root: Path, home: Path, product: str, code: str, driver: str | None = None) -> None:
    home.mkdir(parents=True)
    for name, text in (("vendor", "0x10de"), ("device", product), ("class", code)):
        (home / name).write_text(f"{text}\n")
    (home / "numa_node").write_text("-1\n")
    (home / "driver_override").write_text("(null)\n")
    (root / "sys/bus/pci/devices" / home.name).symlink_to(home)
    group = root / "sys/kernel/iommu_groups" / str(900 + len(home.parts) + int(home.name[-1]))
    (group / "devices").mkdir(parents=True)
    (group / "devices" / home.name).symlink_to(home)
    (home / "iommu_group").symlink_to(group)
    if driver:
        (home / "driver").symlink_to(root / "sys/bus/pci/drivers" / driver)


class Bench:
    """The lab's host with a card of two functions, the first of which has no reset of its own."""

    def __init__(self, path: Path, sound_driver: str | None = None) -> None:
        self.refused: set[str] = set()
        self.root = plant_lab(path / "machine")
        bridge = self.root / "sys/devices/pci0000:00" / BRIDGE
        function(self.root, bridge, "0x1234", "0x060400")
        function(self.root, bridge / GPU, "0x1db6", "0x030200")
        function(self.root, bridge / SOUND, "0x10f2", "0x040300", sound_driver)
        (bridge / SOUND / "reset").write_text("")
        (bridge / "reset_subordinate").write_text("")
        self.bridge = bridge
        self.resets: list[tuple[str, str | None]] = []
        self.machine = SimulatedMachine(self.root, self.refuse)
        self.hypervisor = SimulatedHypervisor(path / "guests.json", self.machine)
        self.drivers = DriverRecord(path / "drivers.json")
        self.cleaner = Cleaner(
            self.machine, self.hypervisor, self.drivers, monotonic,
            reset_bus=BusReset(self.root, self.reset),
        )  # fmt: skip

    def reset(self, path: str, text: str) -> None:
        """What is written to the bridge, and who had the second function then."""
        assert (text, Path(path).name) == ("1", "reset_subordinate")
        sound = self.machine.device(PciAddress.parse(SOUND))
        self.resets.append((Path(path).parent.name, sound.driver))
        if Path(path).name in self.refused:
            raise HostFault(f"{path}: Inappropriate ioctl for device")

    def refuse(self, path: str, _text: str) -> int:
        return errno.EIO if Path(path).name in self.refused else 0

    @property
    def sound_driver(self) -> str | None:
        return self.machine.device(PciAddress.parse(SOUND)).driver

    def clean(self) -> list[str]:
        seen = view(self.machine.scan(), Policy(specs=parse_option(WHOLE)), frozenset())
        return self.cleaner.clean(WANTED, seen).steps


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_bus_is_reset_and_what_is_beside_named(bench: Bench) -> None:
    (unit,) = [one for one in units(bench.machine.scan().devices) if one.tie == "a reset"]
    assert [str(one.address) for one in unit.members] == [GPU, SOUND]
    assert bench.clean() == [f"bus reset, with {SOUND}", "driver none"]
    assert bench.resets == [(BRIDGE, None)]


def test_a_driver_that_has_its_function_back_is_spared_the_reset(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sound_driver="igbvf")
    assert bench.clean()[0] == f"bus reset, with {SOUND}"
    assert bench.resets == [(BRIDGE, None)]
    assert bench.machine.device(PciAddress.parse(SOUND)).driver == "igbvf"


def test_what_the_host_has_taken_meanwhile_is_not_reset(bench: Bench) -> None:
    seen = view(bench.machine.scan(), Policy(specs=parse_option(ONE)), frozenset())
    bench.machine.bind(PciAddress.parse(SOUND), "igbvf")
    with pytest.raises(CleaningFailed, match=rf"the host itself uses {SOUND} \(igbvf\)"):
        bench.cleaner.clean(WANTED, seen)
    assert bench.resets == []
    bench.machine.bind(PciAddress.parse(SOUND), None)
    bench.cleaner.clean(WANTED, seen)  # what nobody uses may be hit
    assert len(bench.resets) == 1


def test_a_guest_on_the_bus_is_not_hit(bench: Bench, tmp_path: Path) -> None:
    wanted = server(devices=[device(SOUND)])
    files = GuestFiles(console=tmp_path / "console.log")
    bench.hypervisor.define(Blueprint(server=wanted, files=files))
    bench.hypervisor.start_paused(wanted.id)
    with pytest.raises(
        CleaningWaits, match=f"together with {SOUND}, which is in the hands of guest {wanted.id}"
    ):
        bench.clean()
    assert bench.resets == []


def test_a_kernel_that_cannot_is_told_of(bench: Bench) -> None:
    (bench.bridge / "reset_subordinate").unlink()
    with pytest.raises(CleaningFailed, match=f"resets {GPU} only with its bus") as failed:
        bench.clean()
    assert "Linux 6.13 and later releases of 6.12" in failed.value.hint
    assert bench.resets == []


def test_without_a_reset_no_neighbour_loses_its_driver(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sound_driver="igbvf")
    (bench.bridge / "reset_subordinate").unlink()
    bench.refused = {"unbind", "bind", "drivers_probe"}  # who tries is told otherwise
    with pytest.raises(CleaningFailed, match=f"resets {GPU} only with its bus"):
        bench.clean()
    assert bench.sound_driver == "igbvf"


def test_a_reset_that_fails_leaves_every_driver_its_function(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sound_driver="igbvf")
    bench.refused = {"reset_subordinate"}
    with pytest.raises(CleaningFailed, match="Inappropriate ioctl"):
        bench.clean()
    assert (bench.resets, bench.sound_driver) == ([(BRIDGE, None)], "igbvf")


def test_a_driver_that_does_not_take_its_function_back_is_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sound_driver="igbvf")
    bench.refused = {"drivers_probe"}
    for _ in range(2):
        with pytest.raises(CleaningFailed, match=f"{SOUND}, which was taken from igbvf, is not"):
            bench.clean()
        assert bench.sound_driver is None
    bench.refused = {"reset_subordinate", "drivers_probe"}
    with pytest.raises(CleaningFailed, match=f"Inappropriate ioctl.*; {SOUND}, which was taken"):
        bench.clean()
    bench.refused = set()
    assert bench.clean()[0] == f"bus reset, with {SOUND}"
    assert bench.sound_driver == "igbvf"


def test_no_bridge_is_above_a_root_bus(tmp_path: Path) -> None:
    root = plant_lab(tmp_path / "machine")
    home = root / "sys/devices/pci0000:00" / "0000:00:1d.0"
    function(root, home, "0x1db6", "0x030200")
    with pytest.raises(HostFault, match=r"no bridge is above 0000:00:1d\.0"):
        BusReset(root)(PciAddress.parse("0000:00:1d.0"))

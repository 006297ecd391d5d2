import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.orders_of import PF, POLICY, cleaning, nic, vf
from hypervisor.blueprints import server
from lanekeeper.agent.cleaning import Cleaner, CleaningFailed, CleaningWaits, RunHook
from lanekeeper.agent.driver_record import DriverRecord, Function, GivenAway
from lanekeeper.agent.observe import view
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.vf_settings import set_and_check
from lanekeeper.clock import monotonic
from lanekeeper.config import Config
from lanekeeper.config.tree import Own
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.cleaning_hook import CleaningHook
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.hook import run_hook
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.simulated_bus import insert_card
from lanekeeper.hypervisor.driver import Blueprint, GuestFiles
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.protocol import CleaningWanted, DeviceWanted

VF = PciAddress.parse(vf(3).address)
DIRTY = nic(3, vlan=99, trusted=True, spoof_check=False)


class Bench:
    """A simulated host with one cleaner; *refuse* names an attribute that the kernel refuses."""

    def __init__(self, path: Path) -> None:
        self.refused = ""
        self.machine = SimulatedMachine(plant_lab(path / "machine"), self._refuse)
        self.hypervisor = SimulatedHypervisor(path / "guests.json", self.machine)
        self.drivers = DriverRecord(path / "drivers.json")
        self.cleaner = Cleaner(self.machine, self.hypervisor, self.drivers, monotonic)

    def _refuse(self, path: str, _text: str) -> int:
        return errno.EIO if self.refused and path.endswith(self.refused) else 0

    def dirty(self) -> None:
        """Leave the VF as a guest that was torn down half-way would."""
        set_and_check(self.machine, VF, DIRTY, DIRTY.settings())
        self.machine.bind(VF, "vfio-pci")

    def clean(self, policy: Policy = POLICY) -> list[str]:
        seen = view(self.machine.scan(), policy, frozenset())
        return self.cleaner.clean(cleaning(vf(3)), seen).steps

    @property
    def settings(self) -> VfSettings:
        return self.machine.vf_settings(PciAddress.parse(PF), 3)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_another_card_has_at_the_address_is_left_alone(bench: Bench) -> None:
    insert_card(bench.machine.root, PciAddress.parse(PF), "00-1b-21-ff-ff-aa-01-01")
    bench.machine = SimulatedMachine(bench.machine.root)
    cleaner = Cleaner(bench.machine, bench.hypervisor, bench.drivers, monotonic)
    bench.dirty()
    seen = view(bench.machine.scan(), POLICY, frozenset())
    wanted = cleaning(vf(3))

    def of(serial: str | None) -> CleaningWanted:
        device = msgspec.structs.replace(wanted.device, card_serial=serial)
        return msgspec.structs.replace(wanted, device=device)

    with pytest.raises(CleaningFailed, match="with serial 00-1b-21-ff-ff-aa-01-01, not 00-1b-22"):
        cleaner.clean(of("00-1b-22-ff-ff-aa-01-01"), seen)
    assert bench.settings.vlan == 99
    for serial in ("00-1b-21-ff-ff-aa-01-01", None):
        cleaner.clean(of(serial), seen)
    assert bench.settings.vlan == 0


@pytest.mark.parametrize("before", ["igbvf", None, "vfio-pci"])
def test_a_device_gets_back_what_it_had_before(bench: Bench, before: str | None) -> None:
    function = Function(VF, "8086:10ca", None)
    bench.drivers.remember({function: before})
    bench.drivers.remember({function: "something later"})  # the first word counts
    bench.dirty()
    for _ in range(2):  # a second time does no harm
        steps = bench.clean()
        assert steps[-1] == f"driver {before or 'none'}"
        assert bench.settings == VfSettings()
        assert bench.machine.device(VF).driver == before
    bench.drivers.remember({function: "igb"})  # given away again: the old word is over
    assert bench.drivers.driver(function) == GivenAway("igb", ids="8086:10ca")


def test_a_cleaning_that_takes_too_long_has_failed(bench: Bench) -> None:
    bench.dirty()
    with pytest.raises(CleaningFailed, match="longer than 1e-09 s") as failed:
        bench.clean(replace(POLICY, cleaning_timeout_s=1e-9))
    assert "cleaning_timeout_s" in failed.value.hint
    policy = Policy.of(Config(lanekeeper=Own(cleaning_timeout_s=60)))
    assert policy.cleaning_timeout_s == 60
    assert bench.clean(replace(POLICY, cleaning_timeout_s=60))[-1] == "driver none"


def test_without_a_record_a_device_is_taken_from_vfio_and_from_nobody_else(bench: Bench) -> None:
    bench.dirty()
    bench.clean()
    assert bench.machine.device(VF).driver is None
    bench.machine.bind(VF, "igbvf")
    bench.clean()
    assert bench.machine.device(VF).driver == "igbvf"


@pytest.mark.parametrize(("refused", "done"), [("reset", ["VF settings at rest"]), ("unbind", [])])
def test_a_step_that_fails_leaves_the_device_dirty_and_is_named(
    bench: Bench, refused: str, done: list[str]
) -> None:
    bench.dirty()
    bench.refused = refused
    with pytest.raises(CleaningFailed, match=refused) as caught:
        bench.clean()
    assert caught.value.steps[-1:] == done
    bench.refused = ""
    bench.clean()
    assert bench.settings == VfSettings()


def test_a_device_in_use_is_not_cleaned(bench: Bench, tmp_path: Path) -> None:
    wanted = server(nics=[nic(3)])
    bench.hypervisor.define(
        Blueprint(server=wanted, files=GuestFiles(console=tmp_path / "console.log"))
    )
    bench.hypervisor.start_paused(wanted.id)
    with pytest.raises(CleaningWaits, match=f"{VF} is in the hands of guest {wanted.id}"):
        bench.clean()
    assert bench.settings.mac == nic(3).mac


def test_what_shares_a_group_with_a_guests_device_waits_for_the_guest(
    bench: Bench, tmp_path: Path
) -> None:
    """To give it back to a driver of the host would take the group from under the guest."""
    bench.drivers.remember({Function(VF, "8086:10ca", None): "igbvf"})
    bench.dirty()
    group = (tmp_path / "machine/sys/bus/pci/devices" / str(VF) / "iommu_group").resolve()
    mate = (tmp_path / "machine/sys/bus/pci/devices" / vf(4).address).resolve()
    (group / "devices" / mate.name).symlink_to(mate)
    wanted = server(nics=[nic(4)])
    files = GuestFiles(console=tmp_path / "console.log")
    bench.hypervisor.define(Blueprint(server=wanted, files=files))
    bench.hypervisor.start_paused(wanted.id)
    with pytest.raises(
        CleaningWaits, match=f"shares its IOMMU group with {mate.name}, which is in"
    ):
        bench.clean()
    assert (bench.settings.vlan, bench.machine.device(VF).driver) == (99, "vfio-pci")
    bench.hypervisor.power_off(wanted.id)
    assert bench.clean()[-1] == "driver igbvf"


def test_a_device_that_is_not_listed_any_more_is_not_touched(bench: Bench) -> None:
    bench.dirty()
    with pytest.raises(CleaningFailed, match="not listed in device_spec"):
        bench.clean(Policy())
    assert bench.settings.vlan == 99


def test_another_card_in_the_slot_is_not_touched(bench: Bench) -> None:
    seen = view(bench.machine.scan(), POLICY, frozenset())
    wanted = cleaning(vf(3))
    other = type(wanted)(
        device=type(wanted.device)(
            device_id="x", address=str(VF), vendor_id="15b3", product_id="1018"
        ),
        round=1,
    )
    with pytest.raises(CleaningFailed, match="is 8086:10ca, not 15b3:1018"):
        bench.cleaner.clean(other, seen)


def test_an_nvme_vf_has_no_settings_to_reset(bench: Bench) -> None:
    from lanekeeper.config import load

    address = "0000:22:00.1"
    wanted = cleaning(vf(0))
    device = type(wanted.device)(
        device_id="nvme", address=address, vendor_id="1b36", product_id="0010"
    )
    seen = view(bench.machine.scan(), Policy.of(load(()).config), frozenset())
    state = bench.cleaner.clean(type(wanted)(device=device, round=4), seen)
    assert (state.clean, state.round, state.steps) == (
        True,
        4,
        ["function reset", "nvme: not erased on a simulated machine", "driver none"],
    )


def test_settings_that_do_not_take_are_named(bench: Bench) -> None:
    class Deaf(SimulatedMachine):
        """A driver that accepts every setting and keeps none, as some do."""

        def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
            return replace(super().vf_settings(pf, index), vlan=0, trust=False)

    with pytest.raises(HostFault, match=r"VF 3 of 0000:21:00.0 .* does not take trust, vlan"):
        set_and_check(Deaf(bench.machine.root), VF, DIRTY, DIRTY.settings())


def test_an_82576_does_without_the_link_state(bench: Bench) -> None:
    asked = type(DIRTY)(
        port_id="p", mac=DIRTY.mac, device=DIRTY.device, vf_index=3, link_state="enable"
    )
    unknown = set_and_check(bench.machine, VF, asked, asked.settings())
    assert unknown == {"link_state"}


def test_a_vf_whose_pf_has_lost_its_interface_is_not_called_clean(bench: Bench) -> None:
    bench.dirty()
    interfaces = bench.machine.root / "sys/bus/pci/devices" / PF / "net"
    away = interfaces.rename(interfaces.with_name("elsewhere"))  # into another namespace
    with pytest.raises(CleaningFailed, match=f"{PF} has no network interface here"):
        bench.clean()
    away.rename(interfaces)
    assert bench.settings.vlan == 99
    bench.clean()
    assert bench.settings == VfSettings()


def hooked(bench: Bench, *hooks: str, run: RunHook | None = run_hook) -> list[str]:
    bench.cleaner = Cleaner(bench.machine, bench.hypervisor, bench.drivers, monotonic, run_hook=run)
    parsed = tuple(CleaningHook.parse(one) for one in hooks)
    return bench.clean(replace(POLICY, cleaning_hooks=parsed))


def test_the_operators_programs_come_last_and_are_told_step_by_step(bench: Bench) -> None:
    bench.dirty()
    mine = '{"command": ["/bin/echo", "{address}", "wiped"], "vendor_id": "8086"}'
    others = '{"command": ["/bin/false"], "class": "0302"}'
    steps = hooked(bench, mine, others, '{"command": ["/bin/true"], "class": "02"}')
    assert steps[-3].startswith("driver ")
    assert steps[-2:] == [f"hook /bin/echo: {VF} wiped", "hook /bin/true"]


def test_a_device_whose_program_fails_is_not_clean(bench: Bench) -> None:
    bench.dirty()
    with pytest.raises(CleaningFailed, match="/bin/false failed with exit code 1") as failed:
        hooked(bench, '{"command": ["/bin/true"]}', '{"command": ["/bin/false"]}')
    assert failed.value.steps[-1] == "hook /bin/true"


def test_programs_share_the_time_of_one_cleaning(bench: Bench) -> None:
    bench.dirty()
    limits = []

    def run(_command: object, _environment: object, timeout_s: float) -> str:
        limits.append(timeout_s)
        return ""

    hooked(bench, '{"command": ["/a"]}', '{"command": ["/b"], "timeout_s": 3000}', run=run)
    assert limits[0] == 60
    assert 60 < limits[1] <= POLICY.cleaning_timeout_s


def test_on_a_simulated_machine_programs_are_noted_and_not_run(bench: Bench) -> None:
    bench.dirty()
    steps = hooked(bench, '{"command": ["/bin/false"]}', run=None)
    assert steps[-1] == "hook /bin/false: not run on a simulated machine"


def test_a_drive_gets_back_its_driver_though_the_agent_ended_while_it_was_erased(
    bench: Bench,
) -> None:
    from lanekeeper.config import load

    drive = PciAddress.parse("0000:22:00.1")

    class Ended(BaseException):
        """The process is gone."""

    def ends(device: PciDevice, _left: object) -> Iterator[str]:
        bench.machine.bind(device.address, "nvme")
        raise Ended
        yield

    def erases(device: PciDevice, _left: object) -> Iterator[str]:
        yield "erased"

    wanted = cleaning(vf(0))
    device = DeviceWanted(device_id="nvme", address=str(drive), vendor_id="1b36", product_id="0010")
    order = msgspec.structs.replace(wanted, device=device)
    seen = view(bench.machine.scan(), Policy.of(load(()).config), frozenset())
    for erase in (ends, erases):
        cleaner = Cleaner(
            bench.machine, bench.hypervisor, bench.drivers, monotonic, erase_nvme=erase
        )
        if erase is ends:
            with pytest.raises(Ended):
                cleaner.clean(order, seen)
            assert bench.machine.device(drive).driver == "nvme"
    assert cleaner.clean(order, seen).steps[-2:] == ["erased", "driver none"]

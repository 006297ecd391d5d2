from dataclasses import replace
from pathlib import Path

import pytest

from agent.orders_of import PF, POLICY, vf
from lanekeeper.agent.facts import facts, health
from lanekeeper.agent.observe import View, view
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.senses import Senses, refuse_contradictions
from lanekeeper.config import Config, load
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device_spec import parse_option
from lanekeeper.domain.pci.devname import pin
from lanekeeper.host.scan import DeviceFault, Scan
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.simulated_bus import insert_card
from lanekeeper.host.simulated_shared import Pattern, SharedMachine
from lanekeeper.hypervisor.driver import Inventory, Stranger
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.simulated import SIMULATED_HOST, SimulatedHypervisor

NOBODY = frozenset[str]()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> SimulatedMachine:
    return SimulatedMachine(plant_lab(tmp_path_factory.mktemp("machine")))


@pytest.fixture(scope="module")
def scan(machine: SimulatedMachine) -> Scan:
    return machine.scan()


def addresses(seen: View) -> set[str]:
    return {str(address) for address in seen.listed}


def spec(text: str) -> Policy:
    return Policy(specs=parse_option(text))


def test_what_is_not_listed_is_not_touched(scan: Scan) -> None:
    seen = view(scan, spec('{"product_id": "10ca", "address": "21:10.2"}'), NOBODY)
    assert addresses(seen) == {vf(1).address}
    assert seen.may_touch(PciAddress.parse(vf(1).address))
    assert not seen.may_touch(PciAddress.parse(vf(0).address))
    assert not seen.may_touch(PciAddress.parse(PF))
    assert view(scan, Policy(), NOBODY).listed == {}


def test_what_is_on_the_bus_and_not_listed_is_told_apart(scan: Scan) -> None:
    policy = spec('{"product_id": "10ca", "address": "21:10.2"}')
    told = facts("host", SIMULATED_HOST, view(scan, policy, NOBODY))
    mine = {one.address for one in told.devices}
    assert mine == {vf(1).address, PF}
    assert told.unlisted[vf(0).address] == "8086:10ca"
    assert {*told.unlisted, *mine} == {str(one.address) for one in scan.devices}


def test_every_pf_is_told_whether_listed_or_not(scan: Scan) -> None:
    told = facts("host", SIMULATED_HOST, view(scan, Policy(), NOBODY))
    assert told.devices == []
    (first, *_) = told.pfs
    assert (first.address, first.vendor_id, first.product_id) == (PF, "8086", "10c9")
    assert (first.vfs_max, first.class_code, first.driver) == (7, 0x020000, "igb")
    assert len(told.pfs) == len([one for one in scan.devices if one.dev_type == "type-PF"])


def test_cards_are_told_with_serial_and_slot_and_vfs_with_neither(tmp_path: Path) -> None:
    root = plant_lab(tmp_path / "machine")
    insert_card(root, PciAddress.parse(PF), "00-1b-21-ff-ff-aa-01-01")
    slot = root / "sys/bus/pci/slots/7"
    slot.mkdir(parents=True)
    (slot / "address").write_text(f"{PF.rpartition('.')[0]}\n")
    told = facts("host", SIMULATED_HOST, view(SimulatedMachine(root).scan(), POLICY, NOBODY))
    said = {(one.address, one.serial, one.slot) for one in told.devices if one.serial or one.slot}
    assert said == {(PF, "00-1b-21-ff-ff-aa-01-01", "7")}


def test_a_pf_is_told_for_its_listed_vfs(scan: Scan) -> None:
    seen = view(scan, POLICY, NOBODY)
    told = facts("host", SIMULATED_HOST, seen).devices
    assert [one.address for one in told if not one.listed] == [PF, "0000:41:00.0"]
    assert [one.address for one in told] == sorted(one.address for one in told)


def test_the_card_that_carries_management_traffic_is_set_aside_its_vfs_are_not(
    scan: Scan,
) -> None:
    both = spec('{"vendor_id": "8086", "address": "0000:21:*", "physical_network": "physnet1"}')
    assert PF in addresses(view(scan, both, NOBODY))
    seen = view(scan, both, frozenset({"ens1"}))
    assert addresses(seen) == {vf(index).address for index in range(7)}
    (problem,) = seen.problems
    assert PF in problem
    assert "management traffic" in problem


def test_bridges_are_set_aside_in_one_sentence(scan: Scan) -> None:
    seen = view(
        scan, spec('[{"vendor_id": "8086", "address": "0000:00:"}, {"address": "20:"}]'), NOBODY
    )
    bridges = {str(one.address) for one in scan.devices if one.class_code >> 16 == 0x06}
    listed = {"0000:00:00.0", "0000:00:1f.0", "0000:20:00.0", "0000:20:01.0"}
    assert listed < bridges
    assert addresses(seen) == {"0000:00:1f.2", "0000:00:1f.3"}
    (problem,) = [one for one in seen.problems if "bridges of this host" in one]
    assert all(address in problem for address in listed)


def test_what_calls_itself_an_other_bridge_may_be_listed(scan: Scan) -> None:
    switch = replace(scan.devices[0], class_code=0x068000)
    exact = spec(f'{{"address": "{switch.address}"}}')
    assert addresses(view(Scan((switch,)), exact, NOBODY)) == {str(switch.address)}


def test_a_simulated_machine_knows_the_card_of_its_default_route(
    machine: SimulatedMachine, tmp_path: Path
) -> None:
    assert machine.management() == {"enp0s2"}
    shared = SharedMachine(Pattern(machine.root), tmp_path / "own", "sim-1")
    assert shared.management() == {"enp0s2"}


def test_excluded_vfs_stay_with_the_host(scan: Scan) -> None:
    kept = frozenset({PciAddress.parse(vf(0).address)})
    assert vf(0).address not in addresses(view(scan, replace(POLICY, excluded=kept), NOBODY))


def test_a_vf_whose_pf_cannot_be_read_is_set_aside(scan: Scan) -> None:
    broken = Scan(
        tuple(device for device in scan.devices if str(device.address) != PF),
        (DeviceFault(PF, "cannot read vendor: Input/output error"),),
    )
    seen = view(broken, POLICY, NOBODY)
    assert addresses(seen) == {vf(index, bus="41").address for index in range(7)}
    assert f"{PF} is set aside: cannot read vendor: Input/output error" in seen.problems
    assert f"{vf(0).address} is set aside: its PF {PF} cannot be read" in seen.problems


def test_mappings_come_from_the_tags_unless_they_are_configured(scan: Scan) -> None:
    assert view(scan, POLICY, NOBODY).mappings == {"physnet1": ("ens1",)}
    told = replace(POLICY, mappings={"physnet9": ("ens2",)})
    assert facts("host", SIMULATED_HOST, view(scan, told, NOBODY)).mappings == {
        "physnet9": ["ens2"]
    }


def test_bandwidth_is_told_and_what_is_not_counted_of_it(tmp_path: Path, scan: Scan) -> None:
    agent = tmp_path / "sriov_agent.ini"
    agent.write_text(
        "[pci]\n"
        'device_spec = {"product_id": "10ca", "address": "21:10.*", "physical_network": "p"}\n'
        "[sriov_nic]\n"
        "physical_device_mappings = p:ens1,p:ens9\n"
        "resource_provider_bandwidths = ens1:1000:,ens9:5:5\n"
        "resource_provider_inventory_defaults = step_size:10,allocation_ratio:1.5\n"
        "resource_provider_default_hypervisor = elsewhere\n"
        "resource_provider_hypervisors = ens1:host\n"
    )
    policy = Policy.of(load([agent]).config)
    told = facts("host", SIMULATED_HOST, view(scan, policy, NOBODY))
    first, second = told.bandwidths
    assert (first.interface, first.egress_kbps, first.ingress_kbps) == ("ens1", 1_000, None)
    assert (second.step_size, second.allocation_ratio) == (10, 1.5)
    not_counted, not_there = told.problems
    assert not_counted.startswith("the bandwidth of ens9 is not counted")
    assert not_there.startswith("the bandwidth of ens9 is counted here, on host, and not on else")


def test_a_contradiction_in_the_configuration_names_its_lines(machine: SimulatedMachine) -> None:
    with pytest.raises(Invalid, match=r"device_spec entry 1.*PF 0000:21:00.0"):
        refuse_contradictions(machine, spec('{"vendor_id": "8086", "address": "0000:21:*"}'))
    refuse_contradictions(machine, POLICY)


def test_the_shipped_sample_lists_the_labs_devices(machine: SimulatedMachine) -> None:
    policy = Policy.of(load(()).config)
    refuse_contradictions(machine, policy)
    listed = view(machine.scan(), policy, NOBODY).listed
    assert len(listed) == 18


def test_a_configuration_without_anything_lists_nothing(tmp_path: Path) -> None:
    assert Policy.of(Config()) == Policy(specs=(), mappings={}, excluded=frozenset())


def test_health_is_told_of_what_is_no_vf(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    seen = view(machine.scan(), POLICY, NOBODY)
    assert [(one.address, one.carrier) for one in health(seen, machine.health).devices] == [
        (PF, True),
        ("0000:41:00.0", True),
    ]
    machine.set_link(PciAddress.parse(PF), False)
    assert health(seen, machine.health).devices[0].carrier is False


def test_a_function_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path))
    seen = view(machine.scan(), POLICY, NOBODY)
    bad = tmp_path / "sys/bus/pci/devices" / PF / "aer_dev_fatal"
    bad.unlink(missing_ok=True)
    bad.write_text("TLP many\nTOTAL_ERR_FATAL many\n")
    assert [one.address for one in health(seen, machine.health).devices] == ["0000:41:00.0"]


def with_a_gpu(scan: Scan, *, sound_driver: str | None = None) -> Scan:
    """Two functions of one card, in one IOMMU group."""
    gpu = replace(
        scan.devices[0], address=PciAddress.parse("0000:51:00.0"), vendor_id=0x10DE,
        product_id=0x1DB6, class_code=0x030200, iommu_group=77, driver=None,
    )  # fmt: skip
    sound = replace(
        gpu, address=PciAddress.parse("0000:51:00.1"), product_id=0x10F2, class_code=0x040300,
        driver=sound_driver,
    )  # fmt: skip
    return replace(scan, devices=(*scan.devices, gpu, sound))


def test_functions_of_one_group_are_told_as_one_unit(scan: Scan) -> None:
    seen = view(
        with_a_gpu(scan, sound_driver="snd_hda_intel"), spec('{"vendor_id": "10de"}'), NOBODY
    )
    told = facts("host", SIMULATED_HOST, seen)
    assert [(one.address, one.unit) for one in told.devices] == [
        ("0000:51:00.0", "0000:51:00.0"),
        ("0000:51:00.1", "0000:51:00.0"),
    ]
    lone = view(scan, POLICY, NOBODY)
    assert {one.unit for one in facts("host", SIMULATED_HOST, lone).devices} == {None}


def test_a_unit_that_the_host_uses_in_part_is_set_aside(scan: Scan) -> None:
    gpu_alone = spec('{"vendor_id": "10de", "product_id": "1db6"}')
    seen = view(with_a_gpu(scan, sound_driver="snd_hda_intel"), gpu_alone, NOBODY)
    assert seen.listed == {}
    assert any("0000:51:00.1 (snd_hda_intel)" in one for one in seen.problems)
    free = view(with_a_gpu(scan), gpu_alone, NOBODY)
    assert addresses(free) == {"0000:51:00.0"}
    assert free.units == {}


def test_an_interface_that_is_renamed_still_means_its_card(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))
    policy = spec('{"devname": "ens1", "product_id": "10ca", "physical_network": "physnet1"}')
    directories = GuestDirectories(tmp_path / "servers")
    hypervisor = SimulatedHypervisor(tmp_path / "guests.json", machine)
    senses = Senses(machine, hypervisor, directories, policy)
    before = senses.view()
    assert addresses(before) == {vf(index).address for index in range(7)}
    for pf, name in ((PF, "lan0"), ("0000:41:00.0", "ens1")):  # another card gets the name
        (old,) = (machine.root / "sys/bus/pci/devices" / pf / "net").iterdir()
        old.rename(old.with_name(name))
    after = senses.view()
    assert addresses(after) == addresses(before)
    (said,) = after.problems
    assert "interface ens1 is called lan0 by now; the entry still means 0000:21:00.0" in said
    assert "Nova would look for the name and no longer find the card" in said
    again = Senses(machine, hypervisor, directories, policy).view()
    assert addresses(again) == {vf(index, bus="41").address for index in range(7)}


def test_a_name_that_nothing_has_is_told_with_its_line(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))
    lines = ('{"devname": "ens1"}', '{"devname": "ens11"}', '{"devname": "lan7"}')
    specs = [
        one
        for number, line in enumerate(lines, 3)
        for one in parse_option(line, source=f"nova.conf:{number}")
    ]
    hypervisor = SimulatedHypervisor(tmp_path / "guests.json", machine)
    directories = GuestDirectories(tmp_path / "servers")
    said = Senses(machine, hypervisor, directories, Policy(specs=tuple(specs))).view().problems
    near, none = (one for one in said if "is called" in one)
    assert near.startswith("nova.conf:4: no network interface of a PCI device here is called ens11")
    assert "did you mean ens1?" in near
    assert none.startswith("nova.conf:5: ")
    assert "did you mean" not in none


def test_a_name_that_is_gone_with_its_card_is_looked_up_again(tmp_path: Path) -> None:
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))
    specs = parse_option('{"devname": "ens1", "product_id": "10ca"}')
    devices = machine.scan().devices
    pins = pin(specs, devices, {})
    assert pin(specs, [one for one in devices if str(one.address) != PF], pins) == pins
    other = [replace(one, serial="another") if str(one.address) == PF else one for one in devices]
    assert pin(specs, other, pins)["ens1"].serial == "another"
    assert pin((), devices, pins) == {}


def test_the_guest_that_holds_a_vf_of_a_card_that_is_listed_twice_is_named(
    machine: SimulatedMachine, tmp_path: Path
) -> None:
    class Holding(SimulatedHypervisor):
        def inventory(self) -> Inventory:
            held = (PciAddress.parse(vf(1).address),)
            return Inventory(strangers=(Stranger("guest-1", is_active=True, devices=held),))

    both = spec('{"vendor_id": "8086", "address": "0000:21:*"}')
    hypervisor = Holding(tmp_path / "guests.json", machine)
    with pytest.raises(Invalid, match=f"held by guests now: {vf(1).address} by guest-1$"):
        refuse_contradictions(machine, both, hypervisor)

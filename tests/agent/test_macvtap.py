"""Guests with macvtaps on VFs that stay with their host."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.orders_of import PF, POLICY, cleaning, nic, server, server_id, vf
from lanekeeper.agent.cleaning import Cleaner, CleaningFailed
from lanekeeper.agent.facts import facts
from lanekeeper.agent.guests import attach, destroy, detach, mend, start
from lanekeeper.agent.observe import View, view
from lanekeeper.agent.plan import ApplyVfSettings, plan
from lanekeeper.agent.senses import Senses
from lanekeeper.agent.workshop import Workshop
from lanekeeper.clock import monotonic
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.hypervisor.simulated import SIMULATED_HOST
from lanekeeper.protocol import Desired, NicWanted

VF, AT = PciAddress.parse(vf(0).address), PciAddress.parse(PF)
NAME = "ens1v0"


def macvtap(index: int = 0, **values: Any) -> NicWanted:
    return replace(nic(index), **({"macvtap": "virtio"} | values))


def seen(shop: Workshop) -> View:
    return view(shop.machine.scan(), POLICY, frozenset())


def bring_up(shop: Workshop, **values: Any) -> None:
    start(shop, server(1, **values), seen(shop))


def clean(shop: Workshop, index: int = 0) -> list[str]:
    cleaner = Cleaner(shop.machine, shop.hypervisor, shop.drivers, monotonic)
    return cleaner.clean(cleaning(vf(index)), seen(shop)).steps


@pytest.mark.parametrize("before", [None, "igbvf", "vfio-pci"])
@pytest.mark.parametrize("vlan", [15, 0])
def test_the_vf_is_an_interface_that_is_up_and_goes_back_as_it_was(
    shop: Workshop, before: str | None, vlan: int
) -> None:
    shop.machine.bind(VF, before)
    bring_up(shop, nics=[macvtap(vlan=vlan, mtu=9000)])
    found, held = shop.machine.interface(VF), shop.machine.vf_settings(AT, 0)
    assert (found.name, found.mac, found.mtu, found.is_up) == (NAME, nic(0).mac, 9000, True)
    assert (held.mac, held.vlan) == (nic(0).mac, vlan)
    assert shop.machine.device(VF).driver == "igbvf"
    (guest,) = shop.hypervisor.inventory().guests
    assert [(one.address, one.driver, one.interface) for one in guest.devices] == [
        (VF, before, NAME)
    ]
    assert shop.hypervisor.inventory().holder(VF) == server_id(1)

    destroy(shop, server_id(1))
    steps = clean(shop)
    assert (steps[0], steps[-1]) == ("taken from igbvf", f"driver {before or 'none'}")
    assert shop.machine.vf_settings(AT, 0) == VfSettings()
    assert shop.machine.device(VF).driver == before
    if before == "igbvf":
        fresh = shop.machine.interface(VF)
        assert (fresh.is_up, fresh.mac == nic(0).mac, fresh.mtu) == (False, False, 1500)


def test_a_mac_that_the_pf_refuses_is_taken_once_the_driver_has_begun_anew(
    shop: Workshop,
) -> None:
    """The 82576 answers "Cannot assign requested address" once its PF holds a MAC for the VF."""
    shop.machine.bind(VF, "igbvf")
    another = replace(nic(0), mac="fa:16:3e:99:99:99")
    shop.machine.write_vf_settings(AT, 0, another.settings())
    with pytest.raises(HostFault, match="Cannot assign requested address"):
        shop.machine.set_interface(VF, nic(0).mac, 1500)
    bring_up(shop, nics=[macvtap()])
    assert shop.machine.interface(VF).mac == nic(0).mac


def test_a_driver_that_is_not_loaded_is_the_reason(
    shop: Workshop, machine: SimulatedMachine
) -> None:
    shutil.rmtree(machine.root / "sys/bus/pci/drivers/igbvf")
    with pytest.raises(HostFault, match="no driver for it is loaded") as refusal:
        bring_up(shop, nics=[macvtap()])
    assert "modprobe igbvf" in refusal.value.hint
    assert shop.hypervisor.inventory().guests == ()
    assert shop.machine.vf_settings(AT, 0) == VfSettings()


def test_a_vf_on_whose_interface_something_stands_is_nobodys_else(
    shop: Workshop, machine: SimulatedMachine
) -> None:
    shop.machine.bind(VF, "igbvf")
    (machine.root / "sys/class/net" / NAME / "upper_macvtap3").symlink_to("../ens1")
    for card in (macvtap(), nic(0)):
        with pytest.raises(HostFault, match=f"in use: macvtap3 stands on its interface {NAME}"):
            bring_up(shop, nics=[card])
    with pytest.raises(CleaningFailed, match="macvtap3"):
        clean(shop)
    assert shop.machine.device(VF).driver == "igbvf"


def test_a_vf_that_does_not_keep_its_mac_lets_no_guest_run(shop: Workshop, tmp_path: Path) -> None:
    class Deaf(SimulatedMachine):
        """Takes a MAC and keeps none."""

        def set_interface(self, address: PciAddress, mac: str, mtu: int) -> None:
            super().set_interface(address, "02:00:00:00:00:01", mtu)

    class Loose(Deaf):
        """As ``Deaf``, and its PF holds no MAC that could be in the way."""

        def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
            return VfSettings(mac=nic(0).mac, vlan=15)

    for kind in (Deaf, Loose):
        deaf = dataclasses.replace(shop, machine=kind(tmp_path / "machine"))
        with pytest.raises(HostFault):
            bring_up(deaf, nics=[macvtap()])
    assert shop.hypervisor.inventory().guests == ()


def test_a_macvtap_is_plugged_into_a_guest_that_runs_and_out_again(shop: Workshop) -> None:
    bring_up(shop, nics=[nic(1)])
    attach(shop, server(1, nics=[nic(1), macvtap()]), macvtap(), seen(shop))
    (guest,) = shop.hypervisor.inventory().guests
    assert [(str(one.address), one.interface) for one in guest.devices] == [
        (vf(1).address, None),
        (vf(0).address, NAME),
    ]
    assert shop.machine.interface(VF).is_up
    assert shop.machine.vf_settings(AT, 0).vlan == 15
    detach(shop, server(1), VF)
    assert shop.hypervisor.inventory().holder(VF) is None
    assert clean(shop)[-1] == "driver none"


def test_a_macvtap_needs_no_iommu(shop: Workshop, machine: SimulatedMachine) -> None:
    (machine.root / "sys/bus/pci/devices" / vf(0).address / "iommu_group").unlink()
    bring_up(shop, nics=[macvtap()])
    assert shop.machine.interface(VF).is_up


def test_a_sibling_below_a_macvtap_keeps_its_group_from_guests(
    shop: Workshop, machine: SimulatedMachine
) -> None:
    bus = machine.root / "sys/bus/pci/devices"
    group = (bus / vf(1).address / "iommu_group").resolve()
    (group / "devices" / vf(0).address).symlink_to((bus / vf(0).address).resolve())
    shop.machine.bind(VF, "igbvf")
    with pytest.raises(HostFault, match=f"shares IOMMU group .* with {vf(0).address}"):
        bring_up(shop, nics=[macvtap(), nic(1)])


def test_an_interface_that_somebody_sets_down_is_set_up_again(
    shop: Workshop, machine: SimulatedMachine
) -> None:
    wanted = server(1, nics=[macvtap()])
    start(shop, wanted, seen(shop))
    senses = Senses(shop.machine, shop.hypervisor, shop.directories, POLICY)
    desired = Desired(generation=1, mark="m", servers=[wanted])
    assert plan(desired, senses.observe(desired, {}, frozenset(), settings=True)) == ()
    machine.set_link(VF, False)
    (action,) = plan(desired, senses.observe(desired, {}, frozenset(), settings=True))
    assert isinstance(action, ApplyVfSettings)
    assert (action.lost, action.taken) == (("interface below its macvtap",), ())
    # A reading counts until the next one, or until the VF was set.
    assert plan(desired, senses.observe(desired, {}, frozenset(), settings=False)) == (action,)
    mend(shop, action.nic, action.lost)
    senses.vfs.forget(frozenset({vf(0).address}))
    assert plan(desired, senses.observe(desired, {}, frozenset(), settings=False)) == ()
    assert plan(desired, senses.observe(desired, {}, frozenset(), settings=True)) == ()


def test_an_interface_that_is_gone_is_said_and_cannot_be_mended(shop: Workshop) -> None:
    wanted = server(1, nics=[macvtap()])
    start(shop, wanted, seen(shop))
    shop.machine.bind(VF, None)
    senses = Senses(shop.machine, shop.hypervisor, shop.directories, POLICY)
    desired = Desired(generation=1, mark="m", servers=[wanted])
    (action,) = plan(desired, senses.observe(desired, {}, frozenset(), settings=True))
    assert isinstance(action, ApplyVfSettings)
    with pytest.raises(HostFault, match=f"{vf(0).address} has no network interface"):
        mend(shop, action.nic, action.lost)


def test_the_controller_is_told_which_vfs_can_be_interfaces(
    shop: Workshop, machine: SimulatedMachine
) -> None:
    def told() -> set[str | None]:
        found = facts("h1", SIMULATED_HOST, seen(shop), (), machine.host_driver)
        return {one.host_driver for one in found.devices if one.dev_type == "type-VF"}

    assert told() == {"igbvf"}
    bring_up(shop, nics=[nic(0)])  # which is with VFIO then, and would be again
    assert told() == {"igbvf"}
    shutil.rmtree(machine.root / "sys/bus/pci/drivers/igbvf")
    assert told() == {None}

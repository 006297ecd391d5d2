import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.orders_of import PF, POLICY, nic, server, server_id, vf
from lanekeeper.agent.driver_record import function_of
from lanekeeper.agent.guests import attach, destroy, detach, start
from lanekeeper.agent.observe import view
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.workshop import Workshop
from lanekeeper.domain.errors import Error, Forbidden, HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.hypervisor.simulated import SimulatedHypervisor

VF = PciAddress.parse(vf(0).address)


def bring_up(shop: Workshop, policy: Policy = POLICY, **values: Any) -> None:
    start(shop, server(1, **values), view(shop.machine.scan(), policy, frozenset()))


def share_a_group(root: Path) -> None:
    """Put VF 1, which igbvf has, into VF 0's IOMMU group."""
    group = (root / "sys/bus/pci/devices" / vf(0).address / "iommu_group").resolve()
    sibling = (root / "sys/bus/pci/devices" / vf(1).address).resolve()
    (group / "devices" / sibling.name).symlink_to(os.path.relpath(sibling, group / "devices"))


@pytest.mark.parametrize(
    ("devices", "policy", "kind", "message"),
    [
        ([vf(0)], Policy(), Forbidden, "is not listed in device_spec"),
        ([vf(9)], POLICY, NotFound, "0000:21:12.2"),
        (
            [msgspec.structs.replace(vf(0), product_id="1018")],
            POLICY,
            HostFault,
            "is 8086:10ca, not 8086:1018",
        ),
    ],
)
def test_a_wrong_device_is_refused_before_anything_is_made(
    shop: Workshop, devices: list[object], policy: Policy, kind: type[Error], message: str
) -> None:
    with pytest.raises(kind, match=message):
        bring_up(shop, policy, devices=devices)
    assert shop.hypervisor.inventory().guests == ()
    assert shop.directories.ids() == frozenset()
    assert shop.machine.device(VF).driver is None


def test_without_an_iommu_no_guest_gets_a_device(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "machine/sys/bus/pci/devices" / vf(0).address / "iommu_group").unlink()
    with pytest.raises(HostFault, match="in no IOMMU group"):
        bring_up(shop, nics=[nic(0)])


def test_a_sibling_that_the_host_uses_is_named(shop: Workshop, tmp_path: Path) -> None:
    share_a_group(tmp_path / "machine")
    shop.machine.bind(PciAddress.parse(vf(1).address), "igbvf")
    with pytest.raises(HostFault, match=f"shares IOMMU group .* with {vf(1).address}"):
        bring_up(shop, nics=[nic(0)])
    bring_up(shop, nics=[nic(0)], devices=[vf(1)])  # whoever takes both may have them


def test_a_start_that_fails_gives_the_devices_back(shop: Workshop) -> None:
    class Deaf(SimulatedMachine):
        """Accepts settings and keeps no VLAN."""

        def vf_settings(self, pf: PciAddress, index: int) -> VfSettings:
            return replace(super().vf_settings(pf, index), vlan=0)

    machine = shop.machine
    assert isinstance(machine, SimulatedMachine)
    deaf = replace(shop, machine=Deaf(machine.root))
    with pytest.raises(HostFault, match="does not take vlan"):
        bring_up(deaf, nics=[nic(0)])
    (guest,) = shop.hypervisor.inventory().guests
    assert (guest.power, guest.generation) == ("stopped", 0)
    assert machine.device(VF).driver is None
    assert machine.vf_settings(PciAddress.parse(PF), 0).mac is None


def test_a_paused_leftover_of_another_order_is_not_finished(shop: Workshop) -> None:
    seen = view(shop.machine.scan(), POLICY, frozenset())
    start(shop, server(1, nics=[nic(0)]), seen)
    start(shop, server(1, 2, nics=[nic(2)]), seen)
    (guest,) = shop.hypervisor.inventory().guests
    assert [str(held.address) for held in guest.devices] == [vf(2).address]
    assert shop.machine.device(VF).driver is None


def test_the_drivers_from_before_outlive_the_guest(shop: Workshop, tmp_path: Path) -> None:
    shop.machine.bind(VF, "igbvf")
    bring_up(shop, nics=[nic(0)])
    (tmp_path / "drivers.json").unlink()  # a lost directory: the domain's metadata still knows
    for _ in range(2):
        destroy(shop, server_id(1))
    noted = shop.drivers.driver(function_of(shop.machine, shop.machine.device(VF)))
    assert noted is not None
    assert (noted.driver, noted.is_back) == ("igbvf", False)
    assert shop.directories.ids() == frozenset()


@pytest.mark.parametrize(("now", "noted"), [(None, False), ("vfio-pci", True)])
def test_of_a_guest_that_is_off_only_what_vfio_still_has_is_noted(
    shop: Workshop, tmp_path: Path, now: str | None, noted: bool
) -> None:
    """What has a driver of its own may be another card's by now."""
    shop.machine.bind(VF, "igbvf")
    bring_up(shop, nics=[nic(0)])
    shop.hypervisor.power_off(server_id(1))
    shop.machine.bind(VF, now)
    (tmp_path / "drivers.json").unlink()
    destroy(shop, server_id(1))
    found = shop.drivers.driver(function_of(shop.machine, shop.machine.device(VF)))
    assert (found is not None) is noted


def test_a_card_is_plugged_into_a_running_guest_and_taken_out(shop: Workshop) -> None:
    machine, second = shop.machine, PciAddress.parse(vf(1).address)
    bring_up(shop, nics=[nic(0)])
    seen = view(machine.scan(), POLICY, frozenset())
    card = msgspec.structs.replace(nic(1), max_tx_mbps=50)
    more = server(1, generation=2, nics=[nic(0), card])
    for _ in range(2):  # as after a crash
        attach(shop, more, card, seen)
    settings = machine.vf_settings(PciAddress.parse(PF), 1)
    assert (settings.mac, settings.vlan, settings.max_tx_rate) == (card.mac, 15, 50)
    guest = shop.hypervisor.inventory().guest(server_id(1))
    assert guest is not None
    assert [held.address for held in guest.devices] == [VF, second]
    assert machine.device(second).driver == "vfio-pci"
    for _ in range(2):
        detach(shop, server(1, generation=3, nics=[nic(0)]), second)
    guest = shop.hypervisor.inventory().guest(server_id(1))
    assert guest is not None
    assert [held.address for held in guest.devices] == [VF]
    assert machine.device(second).driver is None


def test_a_card_that_cannot_be_plugged_leaves_the_guest_as_it_was(shop: Workshop) -> None:
    bring_up(shop, nics=[nic(0)])
    seen = view(shop.machine.scan(), POLICY, frozenset())
    wrong = msgspec.structs.replace(nic(1), device=msgspec.structs.replace(vf(1), product_id="1"))
    with pytest.raises(HostFault, match="not 8086:1"):
        attach(shop, server(1, generation=2, nics=[nic(0), wrong]), wrong, seen)
    guest = shop.hypervisor.inventory().guest(server_id(1))
    assert guest is not None
    assert [held.address for held in guest.devices] == [VF]


def test_a_card_is_not_plugged_while_the_rest_of_its_group_is_the_hosts(
    shop: Workshop, tmp_path: Path
) -> None:
    mate = PciAddress.parse(vf(1).address)
    bring_up(shop)
    share_a_group(tmp_path / "machine")
    shop.machine.bind(mate, "igbvf")
    seen = view(shop.machine.scan(), POLICY, frozenset())
    more = server(1, generation=2, nics=[nic(0)], devices=[vf(1)])
    with pytest.raises(HostFault, match=f"shares IOMMU group .* with {mate}"):
        attach(shop, more, nic(0), seen)
    shop.machine.bind(mate, "vfio-pci")
    attach(shop, more, nic(0), seen)
    guest = shop.hypervisor.inventory().guest(server_id(1))
    assert guest is not None
    assert [held.address for held in guest.devices] == [VF]


class _Deaf(SimulatedHypervisor):
    """Its guest hears no request to let go."""

    def detach(self, server_id: str, address: PciAddress) -> None:
        pass


def test_a_guest_that_does_not_let_go_keeps_its_card_and_is_told_of(
    shop: Workshop, tmp_path: Path
) -> None:
    deaf = _Deaf(tmp_path / "deaf.json", shop.machine)
    shop = replace(shop, hypervisor=deaf, detach_wait_s=0.0)
    bring_up(shop, nics=[nic(0)])
    with pytest.raises(HostFault, match="has it still"):
        detach(shop, server(1, generation=2), VF)
    assert shop.machine.device(VF).driver == "vfio-pci"

"""Uplinks that are down: which VFs have no link then, and that they have it again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.controller import Controller
from agent.orders_of import PF, POLICY, nic, server, server_id
from agent.test_loop import host_with
from agent.test_pairs import AT_ONCE, Cables
from agent.test_pairs import pair as pair_of
from lanekeeper.agent.observe import View
from lanekeeper.agent.plan import Action, AttachNic, DetachDevice, Observed, RecordGeneration, plan
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.relay import Relayed, hanging, relayed
from lanekeeper.agent.uplinks import Standing
from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.listing import Listed
from lanekeeper.domain.pci.vf_settings import LinkState
from lanekeeper.host.simulated import plant_lab
from lanekeeper.hypervisor.driver import Guest, HeldDevice, Inventory
from lanekeeper.protocol import Desired, HostVfs
from running import until

CARD = PciAddress.parse(PF)
RUNNING = Inventory((Guest(id=server_id(1), power="running"),))
WHY = "its switch does not speak LACP to bond0"


def seen(driver: str = "ixgbe") -> View:
    """A host with one PF of this driver and its VFs."""
    pf = PciDevice(
        address=CARD, vendor_id=0x8086, product_id=0x10FB, dev_type=DeviceType.PF, driver=driver
    )
    vfs = [
        PciDevice(
            address=PciAddress.parse(nic(index).device.address),
            vendor_id=0x8086,
            product_id=0x10ED,
            dev_type=DeviceType.VF,
            parent=CARD,
            vf_index=index,
        )
        for index in range(4)
    ]
    listed = {one.address: Listed(one, 0, {}) for one in vfs}
    return View(policy=Policy(), listed=listed, parents={CARD: pf}, mappings={}, pfs=(pf,))


def withdrawn() -> View:
    """The same host; no entry lists its VFs any more."""
    before = seen()
    others = tuple(one.device for one in before.listed.values())
    return replace(before, listed={}, others=others)


def relay(desired: Desired, view: View, *, relays: bool = True) -> Relayed:
    down = Standing({CARD: WHY}, frozenset({CARD}))
    return relayed(desired, hanging(desired, view, RUNNING, relays=relays), down)


def order(**values: Any) -> Desired:
    own = msgspec.structs.replace(nic(0), **values)
    return Desired(generation=1, mark="m", servers=[server(1, nics=[own])])


def test_a_vf_that_follows_its_uplink_has_no_link_while_that_is_down() -> None:
    found = relay(order(), seen())
    ((told,),) = [one.nics for one in found.desired.servers]
    assert told.link_state == "disable"
    assert found.held == {nic(0).port_id: f"of {PF}, {WHY}"}
    assert found.away == frozenset()
    assert found.said == (
        f"port {nic(0).port_id} of server {server_id(1)} has no link: of {PF}, whose VF "
        f"{nic(0).device.address} it has, {WHY}",
    )
    cards = hanging(order(), seen(), RUNNING, relays=True)
    assert relayed(order(), cards, Standing()) == Relayed(desired=order())


def test_a_vf_that_is_listed_no_more_follows_its_uplink_while_its_guest_has_it() -> None:
    found = relay(order(), withdrawn())
    assert found.held == {nic(0).port_id: f"of {PF}, {WHY}"}


def test_the_vf_of_a_pair_that_is_listed_no_more_goes_and_is_not_given_back() -> None:
    vf, tap = pair_of(1)
    wanted = server(1, nics=[vf], taps=[tap])
    asked = Desired(generation=1, mark="m", servers=[wanted])
    address = PciAddress.parse(vf.device.address)
    there = Guest(id=server_id(1), power="running", generation=1, taps=(vf.port_id,))
    with_vf = replace(there, devices=(HeldDevice(address, None),))

    def made_of(guest: Guest, view: View, uplinks: Standing) -> tuple[Relayed, list[Action]]:
        inventory = Inventory((guest,))
        found = relayed(asked, hanging(asked, view, inventory, relays=True), uplinks)
        seen = Observed(inventory=inventory, away=found.away, unsure=found.unsure)
        return found, list(plan(asked, seen))

    down, well = Standing({CARD: WHY}, frozenset({CARD})), Standing()
    assert made_of(with_vf, withdrawn(), down)[1] == [DetachDevice(wanted, address)]
    assert made_of(with_vf, withdrawn(), well) == (Relayed(desired=asked), [])
    assert made_of(there, seen(), well)[1] == [AttachNic(wanted, vf, returns=True)]
    found, actions = made_of(there, withdrawn(), well)
    assert actions == []
    (said,) = found.said
    assert said.endswith(f"until an entry of [pci] device_spec lists its VF {address} again")
    assert len(made_of(there, withdrawn(), down)[0].said) == 1


def test_a_new_order_is_obeyed_while_the_vf_of_a_pair_is_listed_no_more() -> None:
    vf, tap = pair_of(1)
    wanted = server(1, 2, nics=[vf], taps=[tap])
    asked = Desired(generation=2, mark="m", servers=[wanted])
    guest = Guest(id=server_id(1), power="running", generation=1, taps=(vf.port_id,))
    inventory = Inventory((guest,))
    found = relayed(asked, hanging(asked, withdrawn(), inventory, relays=True), Standing())
    seen = Observed(inventory=inventory, away=found.away, unsure=found.unsure)
    assert plan(asked, seen) == (RecordGeneration(wanted),)


def test_a_guest_that_is_off_waits_for_no_uplink() -> None:
    assert hanging(order(), seen(), Inventory(), relays=True) == ()


@pytest.mark.parametrize("state", ["enable", "disable"])
def test_a_port_that_says_what_link_it_has_keeps_it(state: str) -> None:
    asked = order(link_state=state)
    assert relay(asked, seen()) == Relayed(desired=asked)


def test_a_driver_that_cannot_is_not_asked_and_neither_is_one_whose_operator_says_so() -> None:
    assert relay(order(), seen("igb")) == Relayed(desired=order())
    assert relay(order(), seen(), relays=False) == Relayed(desired=order())


def test_the_vf_of_a_pair_is_away_instead() -> None:
    vf, tap = pair_of(1)
    asked = Desired(generation=1, mark="m", servers=[server(1, nics=[vf], taps=[tap])])
    for relays in (True, False):
        found = relay(asked, seen("igb"), relays=relays)
        assert found.away == {PciAddress.parse(vf.device.address)}
        assert found.held == {}
        assert found.desired == asked
        assert "has to do with the card that stands by" in found.said[0]


def able(tmp_path: Path) -> Cables:
    """A machine whose PF has a driver that can set the link of a VF."""
    machine = Cables(plant_lab(tmp_path / "machine"))
    drivers = machine.root / "sys/bus/pci/drivers"
    shutil.copytree(drivers / "igb", drivers / "ixgbe", symlinks=True)
    link = machine.root / f"sys/bus/pci/devices/{PF}/driver"
    link.unlink()
    link.symlink_to("../../../bus/pci/drivers/ixgbe")
    assert machine.device(CARD).driver == "ixgbe"
    return machine


def test_it_is_told_at_once_and_not_at_the_next_look(
    controller: Controller, tmp_path: Path
) -> None:
    machine = able(tmp_path)
    policy = replace(POLICY, patience=AT_ONCE)
    with host_with(controller, tmp_path, machine=machine, policy=policy, look_every_s=3600):
        desired = Desired(generation=1, mark="m", servers=[server(1, nics=[nic(1)])])
        controller.order("sim-1", desired)
        controller.wait_obeyed("sim-1", desired)
        machine.found[CARD] = Uplink(carrier=False)
        heard, host_id = controller.vfs, controller.host_ids["sim-1"]
        until(
            lambda: any(one.held_down for told in heard.get(host_id, ()) for one in told.vfs),
            "it is told",
        )


def test_a_guest_hears_of_its_uplink(controller: Controller, tmp_path: Path) -> None:
    machine = able(tmp_path)
    policy = replace(POLICY, patience=AT_ONCE)
    with host_with(controller, tmp_path, machine=machine, policy=policy):
        desired = Desired(generation=1, mark="m", servers=[server(1, nics=[nic(1)])])
        controller.order("sim-1", desired)
        controller.wait_obeyed("sim-1", desired)

        def state() -> LinkState | None:
            return machine.vf_settings(CARD, 1).link_state

        def told() -> HostVfs:
            return controller.vfs[controller.host_ids["sim-1"]][-1]

        until(lambda: state() is LinkState.AUTO, "its link follows the PF")
        machine.found[CARD] = Uplink(carrier=True, bond="bond0", lacp=0x45)
        until(lambda: state() is LinkState.DISABLE, "it has no link")
        until(lambda: any(one.held_down == f"of {PF}, {WHY}" for one in told().vfs), "it is told")
        machine.found.clear()
        until(lambda: state() is LinkState.AUTO, "it has its link again")
        until(lambda: all(not one.held_down for one in told().vfs), "that is told, too")
        assert all(one.mended is None for one in told().vfs)  # nobody else had changed it

"""Failover pairs on their host: plugged in order, the VF away while its uplink is down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.controller import Controller
from agent.orders_of import PF, POLICY, nic, server, server_id
from agent.test_loop import host_with
from lanekeeper.agent.fleet import TIMING
from lanekeeper.agent.pairs import carrying
from lanekeeper.agent.plan import (
    AttachNic,
    AttachTap,
    DetachDevice,
    DetachTap,
    Observed,
    RecordGeneration,
    plan,
)
from lanekeeper.agent.task import task_of
from lanekeeper.agent.uplinks import EVERY_S, Standing, Uplinks
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.network.uplink import Patience, Uplink
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.driver import Guest, HeldDevice, Inventory
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.hypervisor.simulated_flow_table import SimulatedFlowTable
from lanekeeper.protocol import Desired, GuardWanted, NicWanted, ServerWanted, TapWanted
from running import until

CARD = PciAddress.parse(PF)
BRIDGE = "br-ex"
AT_ONCE = Patience(down_s=0, up_s=0)


def pair(number: int, *, guarded: bool = True) -> tuple[NicWanted, TapWanted]:
    vf = msgspec.structs.replace(nic(number), port_id=server_id(100 + number), failover=True)
    guard = GuardWanted(sources=[(vf.mac, f"10.0.0.{number}")])
    return vf, TapWanted(
        port_id=vf.port_id,
        mac=vf.mac,
        bridge=BRIDGE,
        physical_network="physnet1",
        vlan=15,
        failover=True,
        guard=guard if guarded else None,
    )


def ordered(generation: int = 1, **values: Any) -> ServerWanted:
    vf, tap = pair(1)
    return server(1, generation, **{"nics": [vf], "taps": [tap], **values})


VF = PciAddress.parse(pair(1)[0].device.address)
PORT = pair(1)[0].port_id


def planned(order: ServerWanted, *held: str, generation: int = 1, **seen: Any) -> list[object]:
    """What is planned for a running guest that has of the pair what *held* names."""
    guest = Guest(
        id=order.id,
        power="running",
        generation=generation,
        devices=(HeldDevice(VF, None),) if "vf" in held else (),
        taps=(PORT,) if "tap" in held else (),
    )
    observed = Observed(inventory=Inventory((guest,)), **seen)
    return list(plan(Desired(generation=1, mark="m", servers=[order]), observed))


AWAY: dict[str, Any] = {"away": frozenset({VF}), "unsure": frozenset({VF})}


def test_what_stands_by_is_plugged_first_and_goes_last() -> None:
    order = ordered(2)
    (vf,), (tap,) = order.nics, order.taps
    assert planned(order) == [AttachTap(order, tap)]
    assert planned(order, "tap") == [AttachNic(order, vf)]
    assert planned(order, "tap", unsure=frozenset({VF})) == [AttachNic(order, vf)]
    assert planned(order, "tap", "vf") == [RecordGeneration(order)]
    less = ordered(2, nics=[], taps=[], leaving=[vf.device.address], leaving_taps=[PORT])
    assert planned(less, "tap", "vf") == [DetachDevice(less, VF), DetachTap(less, PORT)]


def test_a_vf_whose_uplink_is_down_is_taken_out_and_comes_back() -> None:
    order = ordered()
    (vf,) = order.nics
    assert planned(order, "tap", "vf") == []
    assert planned(order, "tap", "vf", **AWAY) == [DetachDevice(order, VF)]
    assert planned(order, "tap", **AWAY) == []
    assert planned(order, "tap", unsure=frozenset({VF})) == []  # well, but not for long
    back = AttachNic(order, vf, returns=True)
    assert planned(order, "tap") == [back]
    assert task_of(back).endless
    assert not task_of(AttachNic(order, vf)).endless


def test_a_new_order_is_obeyed_while_a_vf_is_away() -> None:
    order = ordered(2)
    assert planned(order, "tap", **AWAY) == [RecordGeneration(order)]
    assert planned(order, "tap", "vf", **AWAY) == [
        RecordGeneration(order),
        DetachDevice(order, VF),
    ]


def test_a_vf_that_nobody_has_is_set_to_nobodys_wishes() -> None:
    order = ordered()
    lost: dict[str, Any] = {"vf_settings": {VF: VfSettings()}}
    assert planned(order, "tap", **AWAY, **lost) == []
    assert planned(order, "tap", "vf", **lost) != []


def test_the_card_that_stands_by_carries_while_its_vf_is_away() -> None:
    desired = Desired(generation=1, mark="m", servers=[ordered()])
    there = Guest(id=ordered().id, power="running", taps=(PORT,))
    has_both = replace(there, devices=(HeldDevice(VF, None),))
    assert carrying(desired, Inventory((there,))) == {PORT}
    assert carrying(desired, Inventory((has_both,))) == frozenset()
    assert carrying(desired, Inventory((replace(there, power="stopped"),))) == frozenset()


# Uplinks ------------------------------------------------------------------------------------------


class Cables(SimulatedMachine):
    """Says of each PF what the test says."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.found: dict[PciAddress, Uplink] = {}
        self.unreadable = False

    def uplink(self, pf: PciAddress) -> Uplink:
        if self.unreadable:
            raise HostFault(f"the uplink of {pf} cannot be read")
        return self.found.get(pf) or super().uplink(pf)


def test_uplinks_are_followed_between_looks(tmp_path: Path) -> None:
    machine, now = Cables(plant_lab(tmp_path / "machine")), [0.0]
    uplinks = Uplinks(machine, lambda: now[0], every_s=3600)
    patience = Patience(down_s=2, up_s=10)
    try:
        assert uplinks.watch(frozenset({CARD}), patience) == Standing({}, frozenset({CARD}))
        machine.found[CARD] = Uplink(carrier=True, bond="bond0", lacp=0x45)
        assert not uplinks.look()
        now[0] = 2.0
        assert uplinks.look()
        why = "its switch does not speak LACP to bond0"
        assert uplinks.watch(frozenset({CARD}), patience).down == {CARD: why}
        machine.found.clear()
        assert not uplinks.look()
        now[0] = 12.0
        assert uplinks.look()
        assert uplinks.watch(frozenset({CARD}), patience) == Standing()
        gone = PciAddress.parse("0000:99:00.0")
        assert uplinks.watch(frozenset({gone}), patience).down == {}  # it is not there, nor down
    finally:
        uplinks.close()


def test_what_was_down_before_the_agent_was_there_is_down(tmp_path: Path) -> None:
    machine = Cables(plant_lab(tmp_path / "machine"))
    machine.found[CARD] = Uplink(carrier=False)
    uplinks = Uplinks(machine, lambda: 0.0, every_s=3600)
    try:
        assert uplinks.watch(frozenset({CARD}), Patience()).down == {CARD: "it has no link"}
        uplinks.watch(frozenset(), Patience())  # its guests go, and one comes that sets it up
        assert uplinks.watch(frozenset({CARD}), Patience()).down == {}
    finally:
        uplinks.close()


def test_an_uplink_that_cannot_be_read_is_as_it_was(tmp_path: Path) -> None:
    machine = Cables(plant_lab(tmp_path / "machine"))
    uplinks = Uplinks(machine, lambda: 0.0, every_s=3600)
    try:
        machine.unreadable = True
        assert uplinks.watch(frozenset({CARD}), AT_ONCE) == Standing({}, frozenset({CARD}))
        machine.unreadable = False
        machine.found[CARD] = Uplink(carrier=False)
        uplinks.watch(frozenset({CARD}), AT_ONCE)
        assert uplinks.look()
        down = Standing({CARD: "it has no link"}, frozenset({CARD}))
        machine.unreadable = True
        assert not uplinks.look()
        assert uplinks.watch(frozenset({CARD}), AT_ONCE) == down
        machine.unreadable = False
        machine.found.clear()
        assert uplinks.look()
        assert uplinks.watch(frozenset({CARD}), AT_ONCE) == Standing()
    finally:
        uplinks.close()


def test_who_waits_is_woken(tmp_path: Path) -> None:
    machine, woken = Cables(plant_lab(tmp_path / "machine")), []
    uplinks = Uplinks(machine, lambda: 0.0, every_s=0.01)
    uplinks.wake = lambda: woken.append(True)
    try:
        uplinks.watch(frozenset({CARD}), AT_ONCE)
        machine.found[CARD] = Uplink(carrier=False)
        until(lambda: bool(woken), "the loop is woken")
    finally:
        uplinks.close()


def test_what_goes_wrong_once_does_not_end_the_watch(tmp_path: Path) -> None:
    machine, woken = Cables(plant_lab(tmp_path / "machine")), []
    uplinks = Uplinks(machine, lambda: 0.0, every_s=0.01)

    def wake() -> None:
        woken.append(True)
        if len(woken) == 1:
            raise RuntimeError("a bug")

    uplinks.wake = wake
    try:
        uplinks.watch(frozenset({CARD}), AT_ONCE)
        machine.found[CARD] = Uplink(carrier=False)
        until(lambda: len(woken) == 1, "the loop is woken, and that goes wrong")
        machine.found.clear()
        until(lambda: len(woken) == 2, "it is woken again")
    finally:
        uplinks.close()


def test_an_agent_of_a_fleet_reads_uplinks_no_more_often_than_it_looks() -> None:
    assert TIMING.uplinks_every_s >= TIMING.look_every_s > EVERY_S


# On a host ----------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Cables:
    machine = Cables(plant_lab(tmp_path / "machine"))
    (machine.root / "captured").mkdir(exist_ok=True)
    shown = f"    Bridge {BRIDGE}\n        Port ens1\n        Port {BRIDGE}\n"
    (machine.root / "captured/ovs-show").write_text(shown)
    return machine


@pytest.fixture
def tables(controller: Controller, tmp_path: Path, machine: Cables) -> Iterator[list[Any]]:
    made: list[Any] = []

    class Guests(SimulatedHypervisor):
        def __init__(self, path: Path, machine: Any) -> None:
            super().__init__(path, machine)
            made.append(SimulatedFlowTable(tmp_path / "table.json", self))

    class Late:
        """The table of the guests that are made together with it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(made[0], name)

    late: Any = Late()
    policy = replace(POLICY, bridges={"physnet1": BRIDGE}, patience=AT_ONCE)
    with host_with(controller, tmp_path, Guests, machine, policy, flow_table=late):
        yield made


def test_a_guest_goes_on_by_the_card_that_stands_by(
    controller: Controller, machine: Cables, tables: list[Any]
) -> None:
    vf, _ = pair(1)
    desired = Desired(generation=1, mark="m", servers=[ordered()])
    controller.order("sim-1", desired)
    (state,) = controller.wait_obeyed("sim-1", desired).servers
    assert (state.devices, state.taps) == ([vf.device.address], [PORT])
    (port,) = tables[0].ports(BRIDGE)
    assert port.is_sealed
    assert not tables[0].flows(BRIDGE)  # what is sent to its MAC is the VF's
    assert machine.fdb(CARD) == frozenset()
    assert machine.vf_settings(CARD, 1).mac == vf.mac

    machine.found[CARD] = Uplink(carrier=False)
    until(lambda: not controller.state("sim-1").servers[0].devices, "the VF is taken out")
    assert controller.state("sim-1").servers[0].taps == [PORT]
    until(lambda: bool(tables[0].flows(BRIDGE)), "the other card has its flows")
    until(lambda: machine.fdb(CARD) == {vf.mac}, "and cards are told of it")
    assert machine.vf_settings(CARD, 1).mac != vf.mac

    def told() -> list[str]:
        return controller.facts[controller.host_ids["sim-1"]].problems

    said = f"port {PORT} of server {server_id(1)} has to do with the card that stands by"
    until(lambda: any(said in one and "no link" in one for one in told()), "the operator is told")

    machine.found.clear()
    until(lambda: bool(controller.state("sim-1").servers[0].devices), "the VF comes back")
    until(lambda: not tables[0].flows(BRIDGE), "the other card stands by")
    until(lambda: machine.fdb(CARD) == frozenset(), "no card is told of it")
    until(lambda: not any(said in one for one in told()), "all is well")
    assert machine.vf_settings(CARD, 1).mac == vf.mac

    gone = Desired(generation=2, mark="m", absent=[server_id(1)])
    controller.order("sim-1", gone)
    controller.wait_obeyed("sim-1", gone)
    assert tables[0].ports(BRIDGE) == ()

"""Cards of a virtual switch: of guests that start, of running ones, and what the PFs are told."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.controller import Controller
from agent.orders_of import PF, POLICY, nic, server, server_id
from agent.test_loop import host_with
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.shared_cards import SharedCards
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.protocol import Desired, HostFacts, ServerState, TapWanted
from running import until

CARD = PciAddress.parse(PF)
SHOWN = "    Bridge br-ex\n        Port ens1\n        Port br-ex\n"


class SwitchedMachine(SimulatedMachine):
    """Has a bridge with the first PF, or not, as the test says; its cards can be made to refuse."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refuses = False
        self.is_silent = False

    def bridges(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        if self.is_silent:
            raise HostFault("Open vSwitch does not run")
        return super().bridges(names)

    def fdb_add(self, pf: PciAddress, mac: str) -> None:
        if self.refuses:
            raise HostFault(f"cannot tell {pf} that {mac} is behind it: No space left on device")
        super().fdb_add(pf, mac)


@pytest.fixture
def machine(tmp_path: Path) -> SwitchedMachine:
    machine = SwitchedMachine(plant_lab(tmp_path / "machine"))
    (machine.root / "captured").mkdir(exist_ok=True)
    (machine.root / "captured/ovs-show").write_text(SHOWN)
    return machine


@pytest.fixture
def policy() -> Policy:
    return Policy(specs=POLICY.specs, bridges={"physnet1": "br-ex"})


@pytest.fixture
def host(
    controller: Controller, tmp_path: Path, machine: SwitchedMachine, policy: Policy
) -> Iterator[Any]:
    with host_with(controller, tmp_path, machine=machine, policy=policy) as hypervisor:
        yield hypervisor


def tap(number: int, **values: Any) -> TapWanted:
    told: dict[str, Any] = {"bridge": "br-ex", "physical_network": "physnet1", "vlan": 15}
    mac = f"fa:16:3e:00:01:{number:02x}"
    return TapWanted(port_id=server_id(100 + number), mac=mac, **(told | values))


def facts(controller: Controller) -> HostFacts:
    until(lambda: controller.facts, "facts")
    return controller.facts[controller.host_ids["sim-1"]]


def obeyed(
    controller: Controller, generation: int, *servers: Any, **more: Any
) -> list[ServerState]:
    desired = Desired(generation=generation, mark="m", servers=list(servers), **more)
    controller.order("sim-1", desired)
    return controller.wait_obeyed("sim-1", desired).servers


@pytest.mark.usefixtures("host")
def test_a_guest_has_its_cards_and_the_pf_knows_them(
    controller: Controller, machine: SwitchedMachine
) -> None:
    assert facts(controller).bridges == {"physnet1": "br-ex"}
    first = server(1, nics=[nic(0)], taps=[tap(1)])
    (state,) = obeyed(controller, 1, first)
    assert (state.power, state.taps) == ("running", [tap(1).port_id])
    until(lambda: machine.fdb(CARD) == {tap(1).mac}, "the PF knows the guest")
    more = msgspec.structs.replace(first, generation=2, taps=[tap(1), tap(2)])
    (state,) = obeyed(controller, 2, more)
    assert state.taps == [tap(1).port_id, tap(2).port_id]
    until(lambda: machine.fdb(CARD) == {tap(1).mac, tap(2).mac}, "and its second card")
    less = msgspec.structs.replace(more, generation=3, taps=[tap(2)], leaving_taps=[tap(1).port_id])
    (state,) = obeyed(controller, 3, less)
    assert state.taps == [tap(2).port_id]
    until(lambda: machine.fdb(CARD) == {tap(2).mac}, "one is forgotten")
    obeyed(controller, 4, absent=[first.id])
    until(lambda: machine.fdb(CARD) == frozenset(), "all is forgotten")


@pytest.mark.usefixtures("host")
def test_what_the_pf_lost_is_told_again_and_what_others_told_stays(
    controller: Controller, machine: SwitchedMachine
) -> None:
    machine.fdb_add(CARD, "52:54:00:00:00:99")
    obeyed(controller, 1, server(1, taps=[tap(1)]))
    until(lambda: tap(1).mac in machine.fdb(CARD), "the PF knows the guest")
    machine.fdb_remove(CARD, tap(1).mac)
    until(lambda: tap(1).mac in machine.fdb(CARD), "it is told again")
    obeyed(controller, 2, absent=[server_id(1)])
    until(lambda: machine.fdb(CARD) == {"52:54:00:00:00:99"}, "the other one is left alone")


@pytest.mark.usefixtures("host")
def test_a_card_that_refuses_is_told_of_and_holds_nothing_up(
    controller: Controller, machine: SwitchedMachine
) -> None:
    machine.refuses = True
    (state,) = obeyed(controller, 1, server(1, taps=[tap(1)]))
    assert state.power == "running"

    def told() -> list[str]:
        return [one for one in facts(controller).problems if "No space left" in one]

    until(told, "the problem is told")
    machine.refuses = False
    until(lambda: tap(1).mac in machine.fdb(CARD), "it is tried again")
    until(lambda: not told(), "the problem is over")


@pytest.mark.usefixtures("host")
def test_a_bridge_that_is_not_for_guests_is_not_touched(controller: Controller) -> None:
    for number, wrong in enumerate((tap(1, bridge="br-mgmt"), tap(1, physical_network="far")), 1):
        (state,) = obeyed(controller, number, server(1, number, taps=[wrong]))
        assert state.power == "failed"
        assert "[ovs] bridge_mappings" in state.problem or "has no bridge" in state.problem


def test_a_bridge_that_is_not_there_is_told(
    controller: Controller, tmp_path: Path, machine: SwitchedMachine
) -> None:
    bridges = {"physnet1": "br-ex", "physnet2": "br-data"}
    policy = Policy(specs=POLICY.specs, bridges=bridges)
    with host_with(controller, tmp_path, machine=machine, policy=policy):
        told = facts(controller)
    assert told.bridges == {"physnet1": "br-ex"}
    (problem,) = [one for one in told.problems if "br-data" in one]
    assert "no normal port of physnet2 can be served" in problem
    assert "ovs-vsctl add-br br-data" in problem


def test_a_simulated_host_without_a_switch_has_every_bridge_that_is_named(
    controller: Controller, tmp_path: Path, policy: Policy
) -> None:
    with host_with(controller, tmp_path, policy=policy):
        assert facts(controller).bridges == {"physnet1": "br-ex"}


def test_entries_are_taken_back_whoever_was_killed_before(
    machine: SwitchedMachine, tmp_path: Path
) -> None:
    """They are noted before they are told; a new agent finds them, and those of a PF that went."""
    note = tmp_path / "forwarding.json"
    SharedCards(machine, note).settle(frozenset({(CARD, tap(1).mac)}))
    away = PciAddress.parse("0000:99:00.0")
    assert SharedCards(machine, note).settle(frozenset({(CARD, tap(2).mac)})) == ()
    assert machine.fdb(CARD) == {tap(2).mac}
    (problem,) = SharedCards(machine, note).settle(frozenset({(away, tap(3).mac)}))
    assert "0000:99:00.0" in problem
    assert machine.fdb(CARD) == frozenset()


@pytest.mark.usefixtures("host")
def test_a_switch_that_is_silent_takes_nothing_from_guests_and_holds_nothing_else_up(
    controller: Controller, machine: SwitchedMachine
) -> None:
    """It is restarted now and then, and its flows go on."""
    first = server(1, taps=[tap(1)])
    obeyed(controller, 1, first)
    until(lambda: machine.fdb(CARD) == {tap(1).mac}, "the PF knows the guest")
    machine.is_silent = True

    def told() -> list[str]:
        return [one for one in facts(controller).problems if "Open vSwitch does not run" in one]

    until(told, "the silence is told")
    assert facts(controller).bridges == {"physnet1": "br-ex"}
    states = obeyed(controller, 2, first, server(2, nics=[nic(0)]))
    assert {one.power for one in states} == {"running"}
    assert machine.fdb(CARD) == {tap(1).mac}
    machine.is_silent = False
    until(lambda: not told(), "it is over")


def test_a_port_that_is_switched_off_shows_its_running_guest_no_link(
    controller: Controller, host: SimulatedHypervisor
) -> None:
    first = server(1, taps=[tap(1)])
    obeyed(controller, 1, first)
    for generation, link in ((2, False), (3, True)):
        wanted = msgspec.structs.replace(first, taps=[tap(1, link=link)])  # its own order stands
        obeyed(controller, generation, wanted)
        (guest,) = host.inventory().guests
        assert guest.unlinked == (frozenset() if link else {tap(1).port_id})


def test_a_note_that_cannot_be_read_is_told(machine: SwitchedMachine, tmp_path: Path) -> None:
    note = tmp_path / "forwarding.json"
    note.write_text("{")
    (problem,) = SharedCards(machine, note).settle(frozenset({(CARD, tap(1).mac)}))
    assert "forwarding.json" in problem

"""Guarded ports on their host: flows before the guest runs, kept, renewed and taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.controller import Controller
from agent.orders_of import POLICY, server, server_id
from agent.test_loop import host_with
from host.frames import SYN, ethernet, tcp
from host.real_ovs import BRIDGE, real_ovs
from lanekeeper.agent.observe import Bridge, Switching, View
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.port_guards import PortGuards, beside
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.domain.network.guard.guarded import Direction, Rule
from lanekeeper.host.flow_table import NoFlowTable, OvsFlowTable, SwitchPort
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.hypervisor.simulated_flow_table import SimulatedFlowTable
from lanekeeper.protocol import Desired, GuardWanted, ServerState, TapWanted
from running import until

OUTSIDE, OTHER = "52:54:00:00:00:01", "10.0.0.99"
WEB = Rule(direction=Direction.INGRESS, protocol=6, first=80, last=80)


class Table(SimulatedFlowTable):
    """Notes in which state guests are when flows come; refuses when the test says so."""

    def __init__(self, path: Path, hypervisor: SimulatedHypervisor) -> None:
        super().__init__(path, hypervisor)
        self.guests = hypervisor
        self.powers: list[list[str]] = []
        self.refuses = False

    def change(self, bridge: str, gone: Iterable[int], new: Iterable[Flow]) -> None:
        if self.refuses:
            raise HostFault("ovs-ofctl: br-ex is not a bridge or a socket")
        self.powers.append([guest.power for guest in self.guests.inventory().guests])
        super().change(bridge, gone, new)


def tap(number: int, *rules: Rule, guarded: bool = True, **values: Any) -> TapWanted:
    mac = f"fa:16:3e:00:01:{number:02x}"
    guard = GuardWanted(sources=[(mac, f"10.0.0.{number}")], rules=list(rules))
    return TapWanted(
        port_id=server_id(100 + number),
        mac=mac,
        bridge=BRIDGE,
        physical_network="physnet1",
        vlan=15,
        guard=guard if guarded else None,
        **values,
    )


@pytest.fixture
def table(controller: Controller, tmp_path: Path) -> Iterator[Table]:
    made: list[Table] = []

    class Guests(SimulatedHypervisor):
        def __init__(self, path: Path, machine: Any) -> None:
            super().__init__(path, machine)
            made.append(Table(tmp_path / "table.json", self))

    policy = Policy(specs=POLICY.specs, bridges={"physnet1": BRIDGE})
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))

    class Late:
        """The table of the guests that are made together with it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(made[0], name)

    late: Any = Late()
    with host_with(controller, tmp_path, Guests, machine, policy, flow_table=late):
        yield made[0]


def obeyed(
    controller: Controller, generation: int, *servers: Any, **more: Any
) -> list[ServerState]:
    desired = Desired(generation=generation, mark="m", servers=list(servers), **more)
    controller.order("sim-1", desired)
    return controller.wait_obeyed("sim-1", desired).servers


def texts(table: Table) -> str:
    return "\n".join(text for one in table.flows(BRIDGE).values() for text in one)


def test_flows_are_there_before_the_guest_runs_and_go_with_it(
    controller: Controller, table: Table
) -> None:
    first = server(1, taps=[tap(1, WEB)])
    (state,) = obeyed(controller, 1, first)
    assert state.power == "running"
    assert table.powers == [["paused"]]
    assert "tp_dst=0x50/0xffff" in texts(table)
    obeyed(controller, 2, absent=[first.id])
    until(lambda: not table.flows(BRIDGE), "its flows are gone")


def test_a_change_of_a_group_comes_to_a_guest_that_runs(
    controller: Controller, table: Table
) -> None:
    of_group = replace(WEB, group="g")
    first = server(1, taps=[tap(1, of_group)])
    obeyed(controller, 1, first, members={"g": ["10.0.0.7"]})
    assert "nw_src=10.0.0.7," in texts(table)
    before = set(table.flows(BRIDGE))
    obeyed(controller, 2, first, members={"g": ["10.0.0.7", "10.0.0.8"]})
    until(lambda: "nw_src=10.0.0.8," in texts(table), "the new member")
    assert before < set(table.flows(BRIDGE))
    assert table.powers[-1] == ["running"]


def test_what_the_switch_lost_comes_again_and_is_told_where_it_cannot(
    controller: Controller, table: Table
) -> None:
    obeyed(controller, 1, server(1, taps=[tap(1, WEB)]))
    there = set(table.flows(BRIDGE))
    table.change(BRIDGE, there, ())
    until(lambda: set(table.flows(BRIDGE)) == there, "all is written again")
    table.refuses = True
    SimulatedFlowTable.change(table, BRIDGE, there, ())

    def told() -> bool:
        problems = controller.facts[controller.host_ids["sim-1"]].problems
        return any("ports of bridge br-ex are not guarded as wanted" in one for one in problems)

    until(told, "the operator is told")
    more = Desired(generation=2, mark="m", servers=[server(2, taps=[tap(2)])])
    controller.order("sim-1", more)

    def failed() -> bool:
        states = controller.states[controller.host_ids["sim-1"]]
        return any("is not guarded" in one.problem for one in states[-1].servers)

    until(failed, "no guest runs without its guard")


def test_a_card_that_is_plugged_in_is_guarded_and_one_without_guard_is_not(
    controller: Controller, table: Table
) -> None:
    first = server(1, taps=[tap(1, guarded=False)])
    obeyed(controller, 1, first)
    assert table.powers == []
    more = msgspec.structs.replace(first, generation=2, taps=[*first.taps, tap(2, WEB)])
    obeyed(controller, 2, more)
    assert f"dl_dst={tap(2).mac}" in texts(table)
    assert f"dl_dst={tap(1).mac}" not in texts(table)
    vlans = {port.port_id: (port.tag, port.is_sealed) for port in table.ports(BRIDGE)}
    assert vlans == {tap(1).port_id: (15, False), tap(2).port_id: (None, True)}


def test_port_security_is_taken_from_a_guest_that_runs_and_given_to_it(
    controller: Controller, table: Table
) -> None:
    guarded = server(1, taps=[tap(1, WEB)])
    obeyed(controller, 1, guarded)
    open_ = msgspec.structs.replace(guarded, generation=2, taps=[tap(1, guarded=False)])
    obeyed(controller, 2, open_)
    until(lambda: table.ports(BRIDGE)[0].is_access(15), "an access port")
    assert not table.flows(BRIDGE)
    obeyed(controller, 3, msgspec.structs.replace(guarded, generation=3))
    until(lambda: table.ports(BRIDGE)[0].is_sealed and table.flows(BRIDGE), "guarded again")


# On a real switch ---------------------------------------------------------------------------------


def look() -> View:
    switching = Switching({"physnet1": Bridge(BRIDGE)})
    return View(policy=Policy(), listed={}, parents={}, mappings={}, switching=switching)


def test_a_real_switch_is_settled_repaired_and_left_as_it_was(tmp_path: Path) -> None:
    with real_ovs(tmp_path / "run") as switch:
        wanted = [tap(10, WEB), tap(11, guarded=False)]
        switch.plug("pf", 1)
        switch.plug("a", 2, wanted[0].port_id, tag="15")  # from before it was guarded
        switch.plug("b", 3, wanted[1].port_id, tag="15")
        guards = PortGuards(OvsFlowTable(switch.ask), tmp_path / "zones.json")
        guards.heed(Desired(generation=1, mark="m", servers=[server(1, taps=wanted)]))
        guards.require(wanted, look())

        def reached(port: int) -> set[str]:
            packet = tcp(OTHER, "10.0.0.10", 40000, port, SYN)
            return set(switch.send("pf", ethernet(OUTSIDE, wanted[0].mac, 0x800, packet, 15)))

        assert reached(80) == {"a"}
        assert reached(81) == set()
        assert msgspec.json.decode((tmp_path / "zones.json").read_bytes()) == {
            wanted[0].port_id: 30000
        }
        switch.restart()
        assert "a" not in reached(80)  # nothing passes without flows
        assert guards.settle(look()) == ()
        assert reached(80) == {"a"}
        switch.ask(["ovs-ofctl", "-O", "OpenFlow14", "mod-flows", BRIDGE,
                    "table=217,actions=resubmit(,219)"])  # fmt: skip
        assert reached(81) == {"a"}
        assert guards.settle(look()) == ()
        assert reached(81) == set()
        guards.heed(Desired(generation=2, mark="m"))
        assert guards.settle(look()) == ()
        shown = switch.ask(["ovs-ofctl", "--no-stats", "dump-flows", BRIDGE])
        assert shown.strip() == "priority=0 actions=NORMAL"
        assert msgspec.json.decode((tmp_path / "zones.json").read_bytes()) == {}


def test_who_cannot_tell_a_switch_says_so(tmp_path: Path) -> None:
    guards = PortGuards(NoFlowTable(), tmp_path / "zones.json")
    guards.heed(Desired(generation=1, mark="m", servers=[server(1, taps=[tap(1)])]))
    with pytest.raises(HostFault, match=r"is not guarded.*nothing tells bridge br-ex"):
        guards.require([tap(1)], look())
    guards.require([tap(2, guarded=False)], look())


@pytest.mark.parametrize(
    ("record", "untagged", "tagged"),
    [
        ({}, 0, None),
        ({"tag": 7}, 7, frozenset()),
        ({"trunks": frozenset({5})}, None, frozenset({5})),
        ({"trunks": frozenset({0, 5})}, 0, frozenset({0, 5})),
        ({"tag": 7, "mode": "native-untagged"}, 7, None),
        ({"tag": 7, "mode": "dot1q-tunnel"}, 7, frozenset()),
    ],
)
def test_a_port_takes_what_its_record_says(
    record: dict[str, Any], untagged: int | None, tagged: frozenset[int] | None
) -> None:
    found = beside(SwitchPort(name="p", number=4, **record))
    assert (found.number, found.untagged, found.tagged) == (4, untagged, tagged)

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event, Semaphore

import msgspec
import pytest

from agent.controller import TOKEN, Controller
from agent.orders_of import PF, POLICY, cleaning, nic, server, server_id, vf
from lanekeeper.agent.compose import Timing, compose
from lanekeeper.agent.dhcp import Settle
from lanekeeper.agent.enrolment import client_of, enrol
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.simulated import RunningHost
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.flow_table import FlowTable
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.driver import Blueprint
from lanekeeper.hypervisor.simulated import SimulatedHypervisor
from lanekeeper.hypervisor.simulated_flow_table import SimulatedFlowTable
from lanekeeper.protocol import Desired, DeviceWanted, HostVfs, VfReading
from running import until

Start = Callable[..., RunningHost]


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    return SimulatedMachine(tmp_path / "sim-1" / "machine")


def at(text: str) -> PciAddress:
    return PciAddress.parse(text)


def test_a_host_tells_its_devices_and_its_size(controller: Controller, start: Start) -> None:
    start()
    until(lambda: controller.facts, "facts")
    facts = controller.facts[controller.host_ids["sim-1"]]
    assert (facts.vcpus, facts.memory_mib, facts.disk_gib, len(facts.cells)) == (
        64,
        262144,
        2000,
        2,
    )
    listed = [device for device in facts.devices if device.listed]
    assert len(listed) == 14
    assert [one.address for one in facts.devices if not one.listed] == [PF, "0000:41:00.0"]
    assert facts.mappings == {"physnet1": ["ens1"]}
    assert listed[0].tags == {"physical_network": "physnet1"}
    assert (listed[0].vf_index, listed[0].parent, listed[0].numa_node) == (0, PF, 0)


def test_a_guest_comes_up_with_its_vf_set_and_goes_without_a_trace(
    controller: Controller, start: Start, machine: SimulatedMachine, tmp_path: Path
) -> None:
    start()
    image = controller.add_image("tiny", b"root file system")
    up = Desired(
        generation=1,
        mark="a",
        servers=[
            server(
                1, image=image, kernel=image, nics=[nic(3, trusted=True)], devices=[vf(0, bus="41")]
            )
        ],
        consoles=[server_id(1)],
    )
    controller.order("sim-1", up)
    (state,) = controller.wait_obeyed("sim-1", up).servers
    assert (state.power, state.generation, state.problem) == ("running", 1, "")
    assert state.devices == [vf(3).address, vf(0, bus="41").address]
    assert machine.vf_settings(at(PF), 3) == VfSettings(
        mac="fa:16:3e:00:00:03", vlan=15, trust=True
    )
    assert machine.device(at(vf(3).address)).driver == "vfio-pci"
    text = until(lambda: controller.consoles.get(server_id(1)), "console")
    assert "GUEST-NET eth0 mac=fa:16:3e:00:00:03" in text
    assert "8086:10ca" in text

    gone = Desired(
        generation=2,
        mark="b",
        absent=[server_id(1), server_id(9)],
        cleaning=[cleaning(vf(3)), cleaning(vf(0, bus="41"))],
    )
    controller.order("sim-1", gone)
    state_after = controller.wait_obeyed("sim-1", gone)
    assert {one.id: one.power for one in state_after.servers} == {
        server_id(1): "absent",
        server_id(9): "absent",
    }
    assert [one.clean for one in state_after.cleaned] == [True, True]
    assert machine.vf_settings(at(PF), 3) == VfSettings()
    assert machine.device(at(vf(3).address)).driver is None
    assert not list((tmp_path / "sim-1" / "servers").iterdir())


def test_a_server_that_is_named_nowhere_runs_on(controller: Controller, start: Start) -> None:
    start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    nothing = Desired(generation=2, mark="b")
    controller.order("sim-1", nothing)
    (state,) = controller.wait_obeyed("sim-1", nothing).servers
    assert (state.id, state.power) == (server_id(1), "running")


def test_stop_start_and_reboot_are_obeyed_once(
    controller: Controller, start: Start, tmp_path: Path
) -> None:
    start()
    for generation, power, reboots, printed in (
        (1, "running", 0, 1),
        (2, "stopped", 0, 1),
        (3, "running", 0, 2),
        (4, "running", 1, 3),
    ):
        wanted = server(1, generation, nics=[nic(0)], power=power, reboots=reboots)
        desired = Desired(generation=generation, mark="m", servers=[wanted])
        controller.order("sim-1", desired)
        (state,) = controller.wait_obeyed("sim-1", desired).servers
        assert (state.power, state.generation) == (power, generation)
        console = tmp_path / "sim-1" / "servers" / server_id(1) / "console.log"
        assert console.read_text().count("GUEST-READY") == printed


def test_what_cannot_be_started_is_reported_with_the_reason(
    controller: Controller, start: Start
) -> None:
    start()
    wrong = controller.add_image("wrong", b"content")
    controller.images["wrong"] = b"another"
    desired = Desired(generation=1, mark="a", servers=[server(1, image=wrong)])
    controller.order("sim-1", desired)
    first = until(lambda: controller.state("sim-1").servers, "a first report")[0]
    assert (first.power, first.generation) == ("stopped", 0)
    (state,) = controller.wait_obeyed("sim-1", desired).servers
    assert (state.power, state.generation) == ("failed", 1)
    assert "image wrong hashes to" in state.problem


class Spoilt(SimulatedHypervisor):
    """Fails in ways that nobody foresaw."""

    def define(self, blueprint: Blueprint) -> None:
        if blueprint.server.id == server_id(1):
            raise OSError(errno.ENOSPC, "No space left on device", "/disk")
        if blueprint.server.id == server_id(2):
            raise KeyError("a bug")
        super().define(blueprint)


@contextmanager
def host_with(
    controller: Controller,
    home: Path,
    kind: type[SimulatedHypervisor] = SimulatedHypervisor,
    machine: SimulatedMachine | None = None,
    policy: Policy = POLICY,
    flow_table: FlowTable | None = None,
    dhcp: Settle | None = None,
    look_every_s: float = 0.2,
) -> Iterator[SimulatedHypervisor]:
    """Run the agent of a host whose hypervisor is of this *kind*."""
    state = StateDir(home / "special")
    enrol(state, controller.url, TOKEN, "sim-1")
    machine = machine or SimulatedMachine(plant_lab(home / "machine"))
    hypervisor = kind(home / "guests.json", machine)
    client = client_of(state)
    timing = Timing(look_every_s=look_every_s, retry_first_s=0.01, poll_s=5)
    table = flow_table or SimulatedFlowTable(home / "flows.json", hypervisor)
    agent = compose(
        state, client, machine, hypervisor, policy, timing=timing, flow_table=table, dhcp=dhcp
    )
    host = RunningHost("sim-1", agent, client)
    try:
        yield hypervisor
    finally:
        host.stop()
        with controller.changed:
            controller.closing = True
            controller.changed.notify_all()
        host.join()


def test_what_nobody_foresaw_stops_nothing_else(controller: Controller, tmp_path: Path) -> None:
    broken = cleaning(DeviceWanted(device_id="d", address="?", vendor_id="", product_id=""))
    with host_with(controller, tmp_path, Spoilt):
        controller.order("sim-1", Desired(generation=1, mark="a", cleaning=[broken]))
        three = Desired(generation=2, mark="b", servers=[server(number) for number in (1, 2, 3)])
        controller.order("sim-1", three)
        states = controller.wait_obeyed("sim-1", three).servers
    assert [(one.power, one.problem.partition(";")[0]) for one in states] == [
        ("failed", "No space left on device: /disk"),
        ("failed", "internal error of the agent"),
        ("running", ""),
    ]


class Slow(SimulatedHypervisor):
    """Takes its time to define a guest, until it is let go on."""

    def __init__(self, path: Path, machine: SimulatedMachine) -> None:
        super().__init__(path, machine)
        self.reached = Semaphore(0)
        self.go_on = Event()

    def define(self, blueprint: Blueprint) -> None:
        self.reached.release()
        assert self.go_on.wait(60)
        super().define(blueprint)


def test_what_waits_for_a_worker_is_not_done_once_the_host_is_frozen(
    controller: Controller, tmp_path: Path
) -> None:
    with host_with(controller, tmp_path, Slow) as hypervisor:
        assert isinstance(hypervisor, Slow)
        five = [server(number) for number in (1, 2, 3, 4, 5)]
        controller.order("sim-1", Desired(generation=1, mark="a", servers=five))
        assert all(hypervisor.reached.acquire(timeout=20) for _ in range(4))
        with controller.changed:
            controller.frozen = True
            polls = len(controller.polls)
            controller.changed.notify_all()
        until(lambda: len(controller.polls) > polls + 1, "the agent knows that it is frozen")
        hypervisor.go_on.set()
        until(lambda: len(controller.state("sim-1").servers) >= 4, "what had begun is done")
    guests = {guest.id for guest in hypervisor.inventory().guests}
    assert guests == {server_id(number) for number in (1, 2, 3, 4)}


class Hanging(SimulatedMachine):
    """Takes its time to answer the first question of a cleaning, until it is let go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached = Semaphore(0)
        self.go_on = Event()
        self.under_way = 0

    def iommu_group(self, address: PciAddress) -> tuple[PciAddress, ...]:
        self.under_way += 1
        self.reached.release()
        assert self.go_on.wait(60)
        return super().iommu_group(address)


def test_no_guest_waits_for_cleanings_and_one_that_hangs_is_told(
    controller: Controller, tmp_path: Path
) -> None:
    machine = Hanging(plant_lab(tmp_path / "machine"))
    policy = replace(POLICY, cleaning_timeout_s=0.01)
    with host_with(controller, tmp_path, machine=machine, policy=policy):
        cleanings = [cleaning(vf(index)) for index in range(6)]
        controller.order("sim-1", Desired(generation=1, mark="a", cleaning=cleanings))
        assert all(machine.reached.acquire(timeout=20) for _ in range(4))
        up = Desired(generation=2, mark="b", cleaning=cleanings, servers=[server(1, nics=[nic(6)])])
        controller.order("sim-1", up)
        try:
            until(
                lambda: [one.power for one in controller.state("sim-1").servers] == ["running"],
                "the guest runs",
            )
            until(
                lambda: len(next(iter(controller.facts.values())).problems) == 4,
                "those that hang are told",
            )
            told = next(iter(controller.facts.values())).problems
            assert machine.under_way == 4
        finally:
            machine.go_on.set()
    assert all("'device clean' takes longer than 0.02 s" in one for one in told)


class Sleepy(Slow):
    """Does not know what a disk is built on until it is let go on, nor ends a start before."""

    def __init__(self, path: Path, machine: SimulatedMachine) -> None:
        super().__init__(path, machine)
        self.looked = Event()

    def backing_files(self, disk: Path) -> tuple[Path, ...]:
        self.looked.set()
        assert self.go_on.wait(60)
        return ()


def test_no_guest_waits_for_a_look_at_images(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "special/servers" / server_id(9)).mkdir(parents=True)
    with host_with(controller, tmp_path, Sleepy) as hypervisor:
        assert isinstance(hypervisor, Sleepy)
        controller.order("sim-1", Desired(generation=1, mark="a"))
        try:
            assert hypervisor.looked.wait(20)
            four = [server(number) for number in (1, 2, 3, 4)]
            controller.order("sim-1", Desired(generation=2, mark="b", servers=four))
            assert all(hypervisor.reached.acquire(timeout=20) for _ in four)
        finally:
            hypervisor.go_on.set()


class Stubborn(SimulatedHypervisor):
    """Cannot end a guest, as QEMU that hangs in the kernel cannot be ended."""

    def shut_down(self, server_id: str) -> None:
        raise HostFault(f"guest {server_id} does not end")

    power_off = shut_down


@pytest.mark.parametrize(("power", "reboots"), [("stopped", 0), ("running", 1)])
def test_an_order_that_was_given_up_is_told_of_a_guest_that_runs_on(
    controller: Controller, tmp_path: Path, power: str, reboots: int
) -> None:
    with host_with(controller, tmp_path, Stubborn):
        up = Desired(generation=1, mark="a", servers=[server(1)])
        controller.order("sim-1", up)
        controller.wait_obeyed("sim-1", up)
        change = Desired(
            generation=2, mark="b", servers=[server(1, 2, power=power, reboots=reboots)]
        )
        controller.order("sim-1", change)
        (state,) = controller.wait_obeyed("sim-1", change).servers
        assert (state.power, state.generation, state.given_up) == ("running", 1, 2)
        assert state.problem == f"guest {server_id(1)} does not end"
        again = Desired(
            generation=3, mark="c", servers=[server(1, 3, power=power, reboots=reboots)]
        )
        controller.order("sim-1", again)
        controller.wait_obeyed("sim-1", again)
        told = [state.servers[0] for state in controller.states[controller.host_ids["sim-1"]][1:]]
        # Never that the third was given up before it was tried.
        firsts = [one for one in told if one.given_up == 3]
        assert [one.problem for one in firsts] == [f"guest {server_id(1)} does not end"]


def test_lost_settings_of_a_running_guest_come_back(
    controller: Controller, start: Start, machine: SimulatedMachine
) -> None:
    start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    machine.write_vf_settings(at(PF), 0, VfChange(vlan=99, spoofchk=False))
    wanted = VfSettings(mac="fa:16:3e:00:00:00", vlan=15)
    until(lambda: machine.vf_settings(at(PF), 0) == wanted, "the settings are back")


def test_what_vfs_are_set_to_is_told_when_it_changes_with_what_was_mended(
    controller: Controller, start: Start, machine: SimulatedMachine
) -> None:
    start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    told = controller.vfs.setdefault(controller.host_ids["sim-1"], [])
    until(lambda: told and told[-1].vfs, "the VF is told of")
    (fact,) = told[-1].vfs
    assert (fact.port_id, fact.address, fact.mended) == ("port-0", vf(0).address, None)
    assert fact.found == VfReading(
        mac=nic(0).mac, vlan=15, spoof_check=True, trusted=False, link_state="auto"
    )

    faster = msgspec.structs.replace(nic(0), max_tx_mbps=100)
    again = Desired(generation=2, mark="b", servers=[server(1, 2, nics=[faster])])
    controller.order("sim-1", again)
    until(lambda: told[-1].vfs and told[-1].vfs[0].found.max_tx_mbps == 100, "the new rate")
    assert told[-1].vfs[0].mended is None, "what is wanted otherwise was not lost"

    machine.write_vf_settings(at(PF), 0, VfChange(vlan=99, spoofchk=False))
    mended = until(lambda: told[-1].vfs and told[-1].vfs[0].mended, "the mend is told")
    assert mended.lost == ["vlan", "spoofchk"]
    assert (mended.was.vlan, mended.was.spoof_check, mended.was.max_tx_mbps) == (99, False, 100)
    until(lambda: told[-1].vfs and told[-1].vfs[0].found.vlan == 15, "it is as wanted again")
    assert told[-1].vfs[0].mended == mended

    gone = Desired(generation=3, mark="c", servers=[server(1, 3, nics=[faster], power="stopped")])
    controller.order("sim-1", gone)
    until(lambda: told[-1] == HostVfs(), "of a guest that does not run nothing is known")
    assert all(one != following for one, following in pairwise(told)), "nothing is told twice"


def test_an_older_controller_that_knows_nothing_of_vfs_hinders_nothing(
    controller: Controller, start: Start
) -> None:
    controller.is_older = True
    start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    until(lambda: controller.asked_for_vfs >= 1, "it is tried")
    faster = msgspec.structs.replace(nic(0), max_tx_mbps=100)
    again = Desired(generation=2, mark="b", servers=[server(1, 2, nics=[faster])])
    controller.order("sim-1", again)
    (state,) = controller.wait_obeyed("sim-1", again).servers
    assert (state.power, state.problem) == ("running", "")
    assert controller.vfs == {}


class Firmware(SimulatedMachine):
    """A card that refuses what is asked of its first VF, as long as it is *stubborn*."""

    stubborn = False
    refused = 0

    def write_vf_settings(self, pf: PciAddress, index: int, change: VfChange) -> tuple[str, ...]:
        if self.stubborn and index == 0:
            self.refused += 1
            raise HostFault("firmware says no")
        return super().write_vf_settings(pf, index, change)


def test_settings_that_cannot_be_mended_are_told_and_keep_no_other_vf_waiting(
    controller: Controller, tmp_path: Path
) -> None:
    root = plant_lab(tmp_path / "machine")
    somebody, card = SimulatedMachine(root), Firmware(root)
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0), nic(1)])])
    with host_with(controller, tmp_path, machine=card):
        controller.order("sim-1", up)
        controller.wait_obeyed("sim-1", up)
        card.stubborn = True
        for index in (0, 1):
            somebody.write_vf_settings(at(PF), index, VfChange(vlan=99))
        until(lambda: card.vf_settings(at(PF), 1).vlan == 15, "the other VF is mended")
        problem = until(lambda: controller.state("sim-1").servers[0].problem, "the problem")
        assert problem == (
            f"VF {vf(0).address} of the running guest has not the vlan that is wanted, and it "
            "cannot be set: firmware says no"
        )
        told = len(controller.states[controller.host_ids["sim-1"]])
        again = msgspec.structs.replace(up, generation=2, mark="b")
        controller.order("sim-1", again)
        facts = f"{server_id(1)}: {problem}"
        until(lambda: next(iter(controller.facts.values())).problems == [facts], "facts name it")
        so_far = card.refused
        until(lambda: card.refused > so_far + 2, "it is tried again")
        since = controller.states[controller.host_ids["sim-1"]][told:]
        assert {(one.servers[0].problem, one.obeyed) for one in since} <= {(problem, "1.a")}
        card.stubborn = False
        (state,) = controller.wait_obeyed("sim-1", again).servers
        assert (state.power, state.problem) == ("running", "")
        assert card.vf_settings(at(PF), 0).vlan == 15
        until(lambda: not next(iter(controller.facts.values())).problems, "facts forget it")


def test_a_console_that_is_asked_for_anew_is_sent_anew(
    controller: Controller, start: Start
) -> None:
    """It has not changed, and whoever waits for it would take that for silence."""
    start()
    up = Desired(generation=1, mark="a", servers=[server(1)], consoles=[server_id(1)])
    for generation in (1, 2):
        controller.consoles.clear()
        controller.order("sim-1", msgspec.structs.replace(up, generation=generation))
        until(lambda: "GUEST-READY" in controller.consoles.get(server_id(1), ""), "the console")


def test_a_cached_image_that_nothing_needs_goes(
    controller: Controller, start: Start, tmp_path: Path
) -> None:
    images = tmp_path / "sim-1" / "images"
    images.mkdir(parents=True)
    needed = controller.add_image("needed", b"of the guest")
    for name in ("0" * 128, needed.sha512):
        (images / name).write_bytes(controller.images["needed"])
        os.utime(images / name, (0, 0))
    start()
    until(lambda: controller.facts, "facts")
    controller.order("sim-1", Desired(generation=1, mark="a", servers=[server(1, image=needed)]))
    until(lambda: not (images / ("0" * 128)).exists(), "the unused image is gone")
    assert (images / needed.sha512).stat().st_mtime > 0


def test_an_agent_that_restarts_obeys_only_what_the_controller_confirms(
    controller: Controller, start: Start
) -> None:
    host = start()
    up = Desired(generation=5, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    host.stop()
    controller.order("sim-1", Desired(generation=4, mark="old", absent=[server_id(1)]))
    host.join()
    controller.states.clear()
    controller.polls.clear()
    start()
    until(lambda: len(controller.polls) > 1, "the older order came again")
    (state,) = until(lambda: controller.state("sim-1").servers, "a report")
    assert state.power == "running"
    assert controller.polls[0] == "5.a"
    assert controller.state("sim-1").obeyed == ""


def test_a_frozen_host_reports_and_touches_nothing(controller: Controller, start: Start) -> None:
    host = start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    controller.frozen = True
    controller.order("sim-1", Desired(generation=2, mark="b", absent=[server_id(1)]))
    host.stop()
    host.join()
    controller.states.clear()
    start()
    (state,) = until(lambda: controller.state("sim-1").servers, "a frozen host reports")
    assert state.power == "running"
    with controller.changed:
        controller.frozen = False
    until(lambda: controller.state("sim-1").servers[0].power == "absent", "thawed, it obeys")


def test_a_host_that_is_frozen_tells_all_anew_and_gives_back_what_it_was_given(
    controller: Controller, start: Start
) -> None:
    """Nothing has changed on it, but whoever has frozen it knows nothing of it."""
    start()
    told = server(1, nics=[nic(0)], memo="rows of server 1")
    up = Desired(generation=1, mark="a", servers=[told])
    controller.order("sim-1", up)
    (state,) = controller.wait_obeyed("sim-1", up).servers
    assert state.memo == ""
    with controller.changed:
        controller.frozen = True
        controller.facts.clear()
        controller.states.clear()
        controller.changed.notify_all()
    (state,) = until(lambda: controller.state("sim-1").servers, "a frozen host tells its state")
    until(lambda: controller.facts, "a frozen host tells its facts")
    until(lambda: controller.state("sim-1").servers[0].memo, "and what it was given")
    assert controller.state("sim-1").servers[0].memo == "rows of server 1"
    assert state.power == "running"


def test_guests_run_on_without_a_controller(controller: Controller, start: Start) -> None:
    host = start()
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    controller.wait_obeyed("sim-1", up)
    controller.refuse = 503
    controller.states.clear()
    host.stop()
    host.join()
    start()
    controller.refuse = 0
    (state,) = controller.wait_obeyed("sim-1", up).servers
    assert state.power == "running"


def test_a_host_tells_how_well_its_cards_are_when_that_changes(
    controller: Controller, start: Start, machine: SimulatedMachine
) -> None:
    start()
    until(lambda: controller.health, "health")
    host_id = controller.host_ids["sim-1"]
    assert [one.carrier for one in controller.health[host_id].devices] == [True, True]
    machine.set_link(at(PF), False)
    until(
        lambda: [one.carrier for one in controller.health[host_id].devices] == [False, True],
        "the link that is down",
    )


def test_an_agent_ends_whose_configuration_turns_a_card_under_a_guest(
    controller: Controller, start: Start
) -> None:
    """It was started while nobody could be asked; its guests run on."""
    controller.turned = True
    host = start()
    host.join()
    assert controller.facts == {}

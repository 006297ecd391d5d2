"""The agent with real guests: QEMU under libvirt, no devices, since this machine may have none."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.controller import TOKEN, Controller, serving
from agent.orders_of import POLICY, server, server_id
from lanekeeper.agent.compose import Timing, compose
from lanekeeper.agent.enrolment import client_of, enrol
from lanekeeper.agent.simulated import RunningHost
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.driver import Hypervisor
from lanekeeper.protocol import Desired, ServerWanted
from running import until

pytestmark = pytest.mark.service
Start = Callable[[], RunningHost]


@pytest.fixture
def controller() -> Iterator[Controller]:
    controller = Controller()
    with serving(controller):
        yield controller


@pytest.fixture
def start(
    controller: Controller, libvirt_hypervisor: Hypervisor, tmp_path: Path
) -> Iterator[Start]:
    state = StateDir(tmp_path / "state")
    enrol(state, controller.url, TOKEN, "real")
    machine = SimulatedMachine(plant_lab(tmp_path / "machine"))
    timing = Timing(poll_s=5, look_every_s=0.2, retry_first_s=0.05, shutdown_wait_s=0.5)
    started: list[RunningHost] = []

    def run() -> RunningHost:
        client = client_of(state)
        agent = compose(state, client, machine, libvirt_hypervisor, POLICY, timing=timing)
        started.append(RunningHost("real", agent, client))
        return started[-1]

    yield run
    for host in started:
        host.stop()
    with controller.changed:
        controller.closing = True
        controller.changed.notify_all()
    for host in started:
        host.join()


def small(generation: int, controller: Controller, **values: object) -> ServerWanted:
    image = controller.add_image("tiny", bytes(1 << 20))
    drive = {"openstack/latest/meta_data.json": "{}"}
    fields = {"memory_mib": 32, "image": image, "disk_gib": 1, "config_drive": drive}
    return server(1, generation, **(fields | values))


def order(controller: Controller, generation: int, **values: object) -> str:
    """Order the small server in some way; return what the host says of its power then."""
    wanted = small(generation, controller, **values)
    desired = Desired(generation=generation, mark="m", servers=[wanted])
    controller.order("real", desired)
    (state,) = controller.wait_obeyed("real", desired, 60).servers
    assert (state.generation, state.problem) == (generation, "")
    return state.power


def qemu_pid(libvirt_uri: str) -> int:
    run = Path(libvirt_uri.partition("root=")[2]) / "run" / "qemu"
    return int((run / f"lanekeeper-{server_id(1)}.pid").read_text())


def test_a_real_guest_is_stopped_started_rebooted_and_removed(
    controller: Controller, start: Start, tmp_path: Path, libvirt_uri: str
) -> None:
    start()
    assert order(controller, 1) == "running"
    first = qemu_pid(libvirt_uri)
    assert order(controller, 2, power="stopped") == "stopped"
    assert order(controller, 3) == "running"
    assert qemu_pid(libvirt_uri) != first
    before = qemu_pid(libvirt_uri)
    assert order(controller, 4, reboots=1) == "running"
    assert qemu_pid(libvirt_uri) != before
    home = tmp_path / "state" / "servers" / server_id(1)
    assert {path.name for path in home.iterdir()} == {"disk.qcow2", "config.iso", "console.log"}
    gone = Desired(generation=5, mark="m", absent=[server_id(1)])
    controller.order("real", gone)
    (state,) = controller.wait_obeyed("real", gone, 60).servers
    assert state.power == "absent"
    assert not home.exists()


def test_an_agent_that_comes_back_finds_its_guest_and_a_crash_is_told(
    controller: Controller, start: Start, libvirt_uri: str
) -> None:
    host = start()
    assert order(controller, 1) == "running"
    host.stop()
    host.join()
    controller.states.clear()
    start()
    until(lambda: controller.state("real").obeyed == "1.m", "it obeys what it knows")
    (state,) = controller.state("real").servers
    assert (state.power, state.generation) == ("running", 1)
    os.kill(qemu_pid(libvirt_uri), signal.SIGKILL)
    until(lambda: controller.state("real").servers[0].power == "crashed", "the crash is told")

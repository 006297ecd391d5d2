"""An agent that is killed anywhere: after its restart the host is as it was ordered."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.controller import TOKEN, Controller
from agent.orders_of import PF, cleaning, nic, server, server_id, vf
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.main import main
from lanekeeper.protocol import Desired
from running import LANEKEEPER, Process, dying_at

pytestmark = pytest.mark.service

POINTS = [
    f"agent.{what}.{when}"
    for what in ("define", "start", "report", "destroy", "clean")
    for when in ("before", "after")
] + [f"agent.clean.step:{number}" for number in range(1, 5)]
CONFIG = """[pci]
device_spec = {"vendor_id": "8086", "product_id": "10ca", "address": "0000:21:*", \
"physical_network": "physnet1"}
"""

Run = Callable[..., Process]


@pytest.fixture
def run(controller: Controller, tmp_path: Path) -> Iterator[Run]:
    """Runs the agent of an enrolled simulated host as a program of its own."""
    state = tmp_path / "state"
    at = ["--state-dir", str(state)]
    told = ["--controller", controller.url, "--token", TOKEN, "--host-name", "sim-1"]
    assert main(["agent", "enroll", *told, *at]) == 0
    config = tmp_path / "nova.conf"
    config.write_text(CONFIG)
    started: list[Process] = []

    def start(env: dict[str, str] | None = None) -> Process:
        program = [LANEKEEPER, "agent", "run", "--simulate", "--config-file", str(config), *at]
        process = Process(program, tmp_path / f"log-{len(started)}", env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_it_converges_after_restart(
    controller: Controller, run: Run, tmp_path: Path, point: str
) -> None:
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    gone = Desired(generation=2, mark="b", absent=[server_id(1)], cleaning=[cleaning(vf(0))])
    dies_on_the_way_up = point.split(".")[1] in {"define", "start", "report"}
    controller.order("sim-1", up)
    first = run(dying_at(point))
    if not dies_on_the_way_up:
        controller.wait_obeyed("sim-1", up)
        controller.order("sim-1", gone)
    first.died_at_its_point()
    second = run()
    if dies_on_the_way_up:
        (state,) = controller.wait_obeyed("sim-1", up).servers
        assert (state.power, state.generation) == ("running", 1)
        controller.order("sim-1", gone)
    final = controller.wait_obeyed("sim-1", gone)
    assert [one.power for one in final.servers] == ["absent"]
    assert [one.clean for one in final.cleaned] == [True]
    machine = SimulatedMachine(tmp_path / "state" / "machine")
    assert machine.vf_settings(PciAddress.parse(PF), 0) == VfSettings()
    assert machine.device(PciAddress.parse(vf(0).address)).driver is None
    assert not list((tmp_path / "state" / "servers").iterdir())
    assert second.stop() == 0


def test_one_directory_has_one_agent(controller: Controller, run: Run) -> None:
    idle = Desired(generation=1, mark="a")
    controller.order("sim-1", idle)
    first = run()
    controller.wait_obeyed("sim-1", idle)
    second = run()
    assert second.wait() == 1
    assert "another agent works with" in second.errors
    assert first.stop() == 0


def test_killed_it_leaves_its_guests_running(
    controller: Controller, run: Run, tmp_path: Path
) -> None:
    up = Desired(generation=1, mark="a", servers=[server(1, nics=[nic(0)])])
    controller.order("sim-1", up)
    first = run()
    controller.wait_obeyed("sim-1", up)
    first.kill()
    controller.states.clear()
    run()
    (state,) = controller.wait_obeyed("sim-1", up).servers
    assert state.power == "running"
    console = tmp_path / "state" / "servers" / server_id(1) / "console.log"
    assert console.read_text().count("GUEST-READY") == 1

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.controller import TOKEN, Controller, serving
from agent.orders_of import POLICY
from lanekeeper.agent.compose import Timing
from lanekeeper.agent.driver_record import DriverRecord
from lanekeeper.agent.port_guards import PortGuards
from lanekeeper.agent.simulated import RunningHost, run_simulated
from lanekeeper.agent.workshop import Workshop
from lanekeeper.clock import monotonic
from lanekeeper.host.flow_table import NoFlowTable
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.images import ImageCache
from lanekeeper.hypervisor.simulated import SimulatedHypervisor

Start = Callable[..., RunningHost]


@contextmanager
def no_images(_: str) -> Iterator[Iterator[bytes]]:
    yield iter(())


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    return SimulatedMachine(plant_lab(tmp_path / "machine"))


@pytest.fixture
def shop(tmp_path: Path, machine: SimulatedMachine) -> Workshop:
    """What guests of the simulated lab host are made with."""
    return Workshop(
        machine=machine,
        hypervisor=SimulatedHypervisor(tmp_path / "guests.json", machine),
        directories=GuestDirectories(tmp_path / "servers"),
        images=ImageCache(tmp_path / "images", no_images),
        drivers=DriverRecord(tmp_path / "drivers.json"),
        guards=PortGuards(NoFlowTable(), tmp_path / "zones.json"),
        stopwatch=monotonic,
    )


@pytest.fixture
def controller() -> Iterator[Controller]:
    controller = Controller()
    with serving(controller):
        yield controller


@pytest.fixture
def start(controller: Controller, tmp_path: Path) -> Iterator[Start]:
    """Starts the agent of the simulated host ``sim-1``; again, after it was stopped."""
    started: list[RunningHost] = []

    def run() -> RunningHost:
        timing = Timing(poll_s=5, look_every_s=0.2, retry_first_s=0.05)
        hosts = run_simulated(
            ["sim-1"], controller.url, lambda _: TOKEN, tmp_path, POLICY, timing=timing
        )
        started.extend(hosts)
        return hosts[0]

    yield run
    for host in started:
        host.stop()
    with controller.changed:
        controller.closing = True
        controller.changed.notify_all()
    for host in started:
        host.join()

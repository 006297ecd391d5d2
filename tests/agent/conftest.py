from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.controller import TOKEN, Controller, serving
from agent.orders_of import POLICY
from lanekeeper.agent.compose import Timing
from lanekeeper.agent.simulated import RunningHost, run_simulated

Start = Callable[..., RunningHost]


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

"""What a host has to have loaded to be a controller's host."""

import subprocess
import sys

import pytest

PROGRAM = "import sys, lanekeeper.cli.agent; print(*sys.modules)"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("name", ["numpy", "sqlalchemy", "starlette", "lanekeeper.store"])
def test_an_agent_loads_nothing_of_a_controllers(loaded: set[str], name: str) -> None:
    assert "lanekeeper.agent.loop" in loaded
    assert name not in loaded

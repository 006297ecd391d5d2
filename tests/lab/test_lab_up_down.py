"""A lab host starts, ends, is interrupted or dies, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab_host import Watch, lab
from lanekeeper.lab import process
from lanekeeper.lab.folder import LabFolder
from lanekeeper.lab.lab import Wanted, down
from lanekeeper.lab.mounting import parse_mountinfo
from lanekeeper.lab.status import look
from running import LANEKEEPER, until

pytestmark = pytest.mark.lab

NAME = "t2"


def leftovers(state: Path) -> list[str]:
    """Everything that a lab could leave behind."""
    folder = LabFolder(NAME, state).path
    mounts = parse_mountinfo(Path("/proc/self/mountinfo").read_text())
    return [
        *(f"process {pid}" for pid in process.marked(folder)),
        *(f"mount {mount.point}" for mount in mounts if mount.point.is_relative_to(folder)),
        *(f"file {path}" for path in [folder] if path.exists()),
    ]


INTERRUPTED = [
    (signal.SIGINT, 3.0),
    (signal.SIGKILL, 3.0),
    *(
        pytest.param(number, after_s, marks=pytest.mark.long)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        for after_s in (0.1, 0.4, 0.6, 1.5, 6.0, 12.0)
    ),
]


@pytest.mark.parametrize(("number", "after_s"), INTERRUPTED)
def test_nothing_is_left_of_a_lab_that_was_interrupted(
    lab_state: Path, number: int, after_s: float
) -> None:
    words = ["lab", "up", "--name", NAME, "--state-dir", str(lab_state), "--controller-port", "1"]
    with subprocess.Popen([LANEKEEPER, *words], start_new_session=True) as caller:
        time.sleep(after_s)  # the moment of the signal is what is tried here
        os.killpg(caller.pid, number)
        caller.wait(timeout=60)
    if number != signal.SIGKILL:
        assert leftovers(lab_state) == []
    down(NAME, lab_state)
    assert leftovers(lab_state) == []


def test_a_lab_that_died_may_start_anew_and_once_ended_is_gone(
    lab_state: Path, lab_watch: Watch
) -> None:
    wanted = Wanted(name=NAME, state=lab_state, controller_port=1, libvirt=False)
    with lab(wanted, lab_watch) as first:
        pid = first.running.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: look(NAME, lab_state).state == "dead", "the lab is dead")
        with lab(wanted, lab_watch) as second:
            assert look(NAME, lab_state).state == "running"
            assert second.running.pid != pid
        assert leftovers(lab_state) == []
    assert not down(NAME, lab_state)
    assert look(NAME, lab_state).state == "absent"

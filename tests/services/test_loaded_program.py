"""A program that is forked from one that has loaded it begins and ends as one that is executed."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from running import LANEKEEPER, Process, lanekeeper, running

pytestmark = pytest.mark.service


def executed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LANEKEEPER, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words", [("--version",), ("config", "check", "/nowhere"), ("up", "--simulate", "x"), ()]
)
def test_it_says_the_same_and_has_the_same_exit_code(words: tuple[str, ...]) -> None:
    forked, alone = lanekeeper(*words), executed(*words)
    assert (forked.returncode, forked.stdout) == (alone.returncode, alone.stdout)
    assert forked.stderr == alone.stderr


def test_it_has_the_environment_and_the_directory_of_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.conf").write_text("[pci]\nalias = {\n")
    monkeypatch.chdir(tmp_path)
    narrow = lanekeeper("config", "check", "here.conf", env={"COLUMNS": "40"})
    assert "[pci] alias" in narrow.stdout
    assert lanekeeper("--help", env={"COLUMNS": "40"}).stdout != lanekeeper("--help").stdout


def test_its_death_by_a_signal_is_told(tmp_path: Path) -> None:
    words = [LANEKEEPER, "up", "--state-dir", str(tmp_path / "state"), "--simulate", "1"]
    process = Process([*words, "--listen", "127.0.0.1:0"], tmp_path / "log")
    process.line("ready ")
    assert process.is_running
    assert os.getsid(process.pid) == process.pid
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not process.is_running


def test_it_ends_in_good_order(tmp_path: Path) -> None:
    with running(tmp_path / "state") as instance:
        assert instance.process.is_running
        assert instance.process.stop() == 0
        assert not instance.process.is_running

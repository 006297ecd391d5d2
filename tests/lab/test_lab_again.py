"""Which failed tests are run once more: those whose emulator ended itself, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.test_lab_ending import ASSERTION
from lab_host import AGAIN

TESTS = """
from pathlib import Path
import pytest
from lanekeeper.lab.folder import LabFolder

@pytest.fixture(scope="session")
def lab_host(lab_watch):
    folder = LabFolder("h1", Path(STATE))
    folder.create()
    with lab_watch.over(folder, shared=True):
        yield folder
    folder.qemu_log.unlink(missing_ok=True)

@pytest.fixture
def its_own(lab_watch):
    folder = LabFolder("h2", Path(STATE))
    folder.create()
    with lab_watch.over(folder):
        yield folder
    folder.qemu_log.unlink()

def test_fails_before(lab_host): assert False
def test_own_lab_falls(its_own):
    its_own.qemu_log.write_text(ASSERTION)
    assert False
def test_fails_beside(lab_host): assert False
def test_falls(lab_host):
    lab_host.qemu_log.write_text(ASSERTION)
    assert False
def test_without_it_fails_too(lab_host): assert False
def test_passes_all_the_same(lab_host): pass
def test_that_has_no_lab(): assert False
"""


def test_the_tests_of_a_fallen_lab_are_noted_and_no_others(tmp_path: Path) -> None:
    folder, again = tmp_path / "t", tmp_path / "again"
    folder.mkdir()
    constants = f"STATE = {str(tmp_path / 'labs')!r}\nASSERTION = {ASSERTION!r}\n"
    (folder / "test_some.py").write_text(constants + TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-p", "lab_host", "-q", str(folder)]
    environment = {
        **os.environ,
        AGAIN: str(again),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env=environment, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "6 failed, 1 passed" in done.stdout, done.stdout
    assert [line.partition("::")[2] for line in again.read_text().splitlines()] == [
        "test_own_lab_falls",
        "test_falls",
        "test_without_it_fails_too",
    ]
    assert "these failed with their lab" in done.stdout

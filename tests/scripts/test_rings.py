"""What ``./dev test`` says at the end is what happened, also when pytest itself falls over."""

from collections import Counter
from pathlib import Path

import pytest

import campaign
import rings

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert False
@pytest.mark.skip(reason="no such card here")
def test_skips(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_errors(broken): pass
@pytest.mark.long
def test_long(): pass
"""

RING = rings.Ring("unit", "a ring", 1, "not lab")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n  lab\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins take most of the start
    return tmp_path


def run(tree: Path, text: str, *, long: bool = False) -> rings.Outcome:
    (tree / "test_some.py").write_text(text)
    return rings.run_ring(RING, long=long, passed_on=["-q", "--no-header"])


def test_every_case_is_counted_once(tree: Path) -> None:
    outcome = run(tree, TESTS)
    assert str(outcome) == "1 passed, 2 failed, 1 skipped"
    assert outcome.wall_s > 0 < outcome.cpu_s
    assert outcome.reasons == Counter({"no such card here": 1})
    assert outcome.failures == ["test_some::test_fails", "test_some::test_errors"]


def test_long_campaigns_run_when_asked_for(tree: Path) -> None:
    assert run(tree, TESTS, long=True).passed == 2


def test_what_has_two_sizes_is_told_of_a_long_run(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(campaign.VARIABLE, raising=False)
    text = f"import os\ndef test_it(): assert {campaign.VARIABLE!r} in os.environ"
    assert str(run(tree, text, long=True)) == "1 passed, 0 failed, 0 skipped"
    assert str(run(tree, text)) == "0 passed, 1 failed, 0 skipped"


def test_a_file_that_cannot_be_imported_fails_the_ring(tree: Path) -> None:
    outcome = run(tree, "import no_such_module")
    assert outcome.failed == 1


def test_a_pytest_that_dies_fails_the_ring(tree: Path) -> None:
    outcome = run(tree, "import os\ndef test_it(): os._exit(7)")
    assert outcome.failures == ["unit: pytest ended with 7"]


def test_an_empty_ring_is_not_a_failure(tree: Path) -> None:
    outcome = run(tree, "")
    assert str(outcome) == "0 passed, 0 failed, 0 skipped"


# The second run finds a fresh lab; what "fell" notes itself as the lab's fixture does.
FALLING = """
import os, pathlib, pytest

def fell(name):
    with open(os.environ["LANEKEEPER_LAB_AGAIN"], "a") as noted:
        noted.write(f"test_some.py::{name}\\n")

@pytest.fixture
def lab():
    with open("boots", "a") as boots:
        boots.write("x")
    return len(pathlib.Path("boots").read_text())

@pytest.mark.parametrize("word", ["a::b"])
def test_falls_once(lab, word):
    if lab == 1:
        fell("test_falls_once[a::b]")
        assert False
class TestGroup:
    def test_never_stands(self):
        fell("TestGroup::test_never_stands")
        assert False
def test_passes():
    pathlib.Path("passes").touch(exist_ok=False)
def test_is_wrong():
    pathlib.Path("wrongs").touch(exist_ok=False)
    assert False
"""


def test_only_what_the_emulator_took_with_it_runs_once_more(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = run(tree, FALLING)
    assert str(outcome) == "2 passed, 2 failed, 0 skipped"
    assert outcome.failures == [
        "test_some::test_is_wrong",
        "test_some.TestGroup::test_never_stands",
    ]
    assert "2 tests are run once more" in capfd.readouterr().out
    assert "again    unit: 2 run again: their lab fell" in rings.closing_lines(
        {RING: outcome}, long=False
    )


def test_a_failure_alone_is_not_tried_again(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "import pathlib\ndef test_it(): assert pathlib.Path('ran').touch(exist_ok=False)"
    outcome = run(tree, text)
    assert str(outcome) == "0 passed, 1 failed, 0 skipped"
    assert "once more" not in capfd.readouterr().out


def test_the_last_line_is_the_total_alone() -> None:
    outcome = rings.Outcome(passed=3, failed=1, reasons=Counter(a=2), failures=["x::y"])
    lines = rings.closing_lines({RING: outcome}, long=True)
    assert lines[-2:] == ["FAILED   x::y", "3 passed, 1 failed, 2 skipped"]
    assert "skipped  unit: 2 x a" in lines


def test_a_table_tells_what_each_ring_took_and_a_warning_which_took_too_long() -> None:
    other = rings.Ring("lab", "another", 2, "lab")
    outcomes = {
        RING: rings.Outcome(passed=3, reasons=Counter(a=2), wall_s=90, cpu_s=100),
        other: rings.Outcome(passed=1, failed=1, wall_s=90, cpu_s=30),
    }
    lines = rings.closing_lines(outcomes, long=False)
    assert [line.split() for line in lines[1:4]] == [
        ["unit", "90.0", "100.0", "3", "0", "2"],
        ["lab", "90.0", "30.0", "1", "1", "0"],
        ["all", "180.0", "130.0", "4", "1", "2"],
    ]
    warnings = [line for line in lines if line.startswith("WARNING")]
    assert warnings == ["WARNING  unit took 1.5 min, its budget on two cores is 1"]
    assert not [line for line in rings.closing_lines(outcomes, long=True) if "WARNING" in line]


def test_a_ring_is_divided_where_it_can_be() -> None:
    assert rings.workers(RING, 2) == ["-n", "2", "--dist", "loadfile"]
    assert rings.workers(RING, 1) == []
    assert rings.workers(rings.Ring("lab", "one host", 1, "lab", divides=False), 2) == []

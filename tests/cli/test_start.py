"""How the command starts: what it imports is no work for the garbage collector."""

import gc
import subprocess
import sys

import pytest

from lanekeeper.main import main

AS_A_PROGRAM = """
import gc, sys
from lanekeeper.main import main
sys.argv = ["lanekeeper", "config", "--help"]
try:
    main()
except SystemExit:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_a_program_of_its_own_keeps_its_modules_for_good() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_A_PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True True"


def test_a_caller_in_python_keeps_its_garbage_collectable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = gc.get_freeze_count()
    with pytest.raises(SystemExit):
        main(["config", "--help"])
    assert "check" in capsys.readouterr().out
    assert gc.isenabled()
    assert gc.get_freeze_count() == before

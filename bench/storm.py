"""Servers made on a simulated fleet while agents and controllers are killed: what is lost of them.

It is the test ``tests/services/test_fleet_storm.py`` at full size, which fails where anything is
given twice, left behind or lost.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure

_TEST = Path(__file__).parents[1] / "tests/services/test_fleet_storm.py"
_WITHIN_S = 4 * 3600


def measure(home: Path, storm: str) -> Iterator[Figure | str]:
    """One storm on SQLite and one on PostgreSQL."""
    for kind in ("sqlite", "postgresql"):
        words = [sys.executable, "-m", "pytest", str(_TEST), "-s", "-k", kind]
        words += ["--basetemp", str(home / kind), "-p", "no:cacheprovider", "-p", "no:warnings"]
        ended = subprocess.run(
            words,
            env={**os.environ, "LANEKEEPER_STORM": storm},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )
        told = [line for line in ended.stdout.splitlines() if line.startswith("seed ")]
        yield f"{kind}: {told[0]}" if ended.returncode == 0 and told else f"{kind}:\n{ended.stdout}"

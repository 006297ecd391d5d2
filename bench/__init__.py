"""Benchmarks. They start the servers that tests start, so tests' own modules are found."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

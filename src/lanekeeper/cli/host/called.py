"""How this program is called."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_INSTALLED = "/usr/bin/lanekeeper"


def program() -> str:
    """Return how this program is called at boot: the installed command, or this one's path."""
    called = Path(sys.argv[0])
    if called.name == "lanekeeper" and called.exists():
        return str(called.resolve())
    return shutil.which("lanekeeper") or _INSTALLED

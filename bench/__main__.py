"""Measures what docs/performance.md states: ``python -m bench [NAME…]``; see ``--list``.

Figures, not tests: nothing fails by being slow. Medians stand with their spread, since a machine
is never quite idle; what the design allows stands beside them.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figure import Figure

NAMES = (
    "boot",
    "api",
    "claims",
    "agent",
    "scan",
    "placement",
    "oversell",
    "snapshot",
    "scheduling",
)
AT_REQUEST = ("storm", "filters", "vfs", "ports")
"""What takes too long, or needs too much, to be run with all the rest."""


def main() -> int:
    """Run what was asked for; 3 when a figure cannot be had on this machine."""
    arguments = _parser().parse_args()
    if arguments.list:
        for name in (*NAMES, *AT_REQUEST):
            print(f"{name:10} {_first_line(name)}")
        return 0
    _say_where()
    for name in arguments.names or NAMES:
        options = _options(name, arguments)
        said = " ".join(f"--{option} {_word(value)}" for option, value in options.items() if value)
        print(f"\n{name}: {_first_line(name)}\n  python -m bench {name} {said}")
        home = Path(tempfile.mkdtemp(prefix="lanekeeper-bench-", dir=arguments.dir))
        try:
            for figure in _measure(name, home, options):
                print(f"  {figure}", flush=True)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, *AT_REQUEST, []], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--runs", type=int, default=5, help="samples a figure (5)")
    parser.add_argument(
        "--hosts",
        type=int,
        nargs="+",
        default=[100, 1000],
        help="placement, filters: hosts (100 1000)",
    )
    parser.add_argument(
        "--bound", type=float, default=30, help="placement: seconds to wait for one answer (30)"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="placement, filters: draw it too"
    )
    parser.add_argument("--rounds", type=int, default=100, help="oversell: rounds of rivals (100)")
    parser.add_argument(
        "--fleet", type=int, default=10000, help="snapshot, scheduling: hosts (10000)"
    )
    parser.add_argument(
        "--nova",
        type=Path,
        default=Path(".venv-nova/bin/python"),
        metavar="PYTHON",
        help="filters: the Python that has Nova (.venv-nova/bin/python)",
    )
    parser.add_argument(
        "--neutron",
        type=Path,
        default=Path(".venv-neutron/bin/python"),
        metavar="PYTHON",
        help="vfs: the Python that has Neutron (.venv-neutron/bin/python)",
    )
    parser.add_argument(
        "--storm", default="1000,1000", metavar="HOSTS,CREATES", help="storm: (1000,1000)"
    )
    parser.add_argument("--dir", type=Path, help="where files are made; its disk is measured too")
    return parser


def _options(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Those of the options that a measurement's parameters are named after."""
    measure = importlib.import_module(f"bench.{name}").measure
    wanted = [option for option in inspect.signature(measure).parameters if option != "home"]
    return {option: getattr(arguments, option) for option in wanted}


def _word(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _measure(name: str, home: Path, options: dict[str, Any]) -> Iterator[Figure | str]:
    figures: Iterator[Figure | str] = importlib.import_module(f"bench.{name}").measure(
        home, **options
    )
    return figures


def _first_line(name: str) -> str:
    return (importlib.import_module(f"bench.{name}").__doc__ or "").partition("\n")[0]


def _say_where() -> None:
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load before: {load}")


if __name__ == "__main__":
    sys.exit(main())

"""``lanekeeper config``: read configuration files as a start would, and say what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from lanekeeper.cli import exit_code
from lanekeeper.config import load, sample_path


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``config`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("config", help="check configuration files")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser("check", help="read files as a start would; change nothing")
    check.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="none: the shipped sample"
    )
    check.set_defaults(handler=run_check)


def run_check(parsed: argparse.Namespace) -> int:
    """Say what the files list; a mistake ends with code 2 and names file and line."""
    loaded = load(parsed.files)
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    config = loaded.config
    names = dict.fromkeys(alias.name for alias in config.pci.alias)
    print(f"read {', '.join(map(str, parsed.files or [sample_path()]))}")
    print(f"device_spec: {len(config.pci.device_spec)} entries")
    print(f"alias: {', '.join(names) or 'none'}")
    for network, ranges in config.ml2.vlan_ranges.items():
        spans = ", ".join(str(one) for one in ranges)
        print(f"VLANs of {network}: {spans}")
    return exit_code.DONE

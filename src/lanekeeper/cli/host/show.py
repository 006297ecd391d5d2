"""``lanekeeper host show``."""

from __future__ import annotations

import argparse

from lanekeeper.cli import exit_code
from lanekeeper.cli.host import view
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import target_of
from lanekeeper.host.facts import read_host


def show_host(arguments: argparse.Namespace) -> int:
    """Print the PCI functions."""
    with target_of(arguments) as target:
        host = read_host(target.root)
    text = view.devices_text(host, bridges=arguments.bridges)
    show(arguments, view.host_json(host), text)
    return exit_code.DONE

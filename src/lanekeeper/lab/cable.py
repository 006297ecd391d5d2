"""Cables between the cards of two labs on this machine: a Unix socket for each card.

The lab that is there first waits at its sockets from its start on, and works without anybody at
their other end; the second one is started as cabled to it. Either may end and start again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.errors import Conflict, Invalid, Unavailable
from lanekeeper.lab import process
from lanekeeper.lab.folder import LabFolder, Running

CARDS = 1, 2


def cable_socket(folder: Path, card: int) -> Path:
    """Where the lab in *folder* waits for the one that its *card* is cabled to."""
    return folder / f"cable{card}"


def check_cable(name: str, to: str | None, state: Path) -> None:
    """Refuse to cable lab *name* to one that is not there, or that is cabled to another.

    Raises:
        Invalid: it is itself, or *to* is no name.
        Unavailable: there is no such lab, or it does not run.
        Conflict: each lab has one cable for each card, and that one's are taken.
    """
    if to is None:
        return
    if to == name:
        raise Invalid(f"lab {name} cannot be cabled to itself")
    running = LabFolder(to, state).running()
    if running is None or not process.alive(running.pid):
        raise Unavailable(
            f"lab {to}, to be cabled to, does not run", hint=f"run: lanekeeper lab up --name {to}"
        )
    taken = [running.cabled_to, *(one.name for one in _cabled_to(to, state) if one.name != name)]
    for other in filter(None, taken):
        raise Conflict(f"the cards of lab {to} are cabled to those of lab {other} already")


def _cabled_to(name: str, state: Path) -> Iterator[Running]:
    for path in state.glob("*/lab.json"):
        running = LabFolder(path.parent.name, state).running()
        if running and running.cabled_to == name and process.alive(running.pid):
            yield running

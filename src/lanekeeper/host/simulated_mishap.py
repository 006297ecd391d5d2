"""What befalls a simulated machine: a device leaves its bus, a link goes; and how it is mended.

What is amiss stands in the directory that is the machine, so it can be mended after whoever did it
was killed.
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine

_BUS = "sys/bus/pci/devices"
_AWAY, _DOWN = "simulated/away", "simulated/down"


def take_away(machine: SimulatedMachine, address: PciAddress) -> None:
    """Have a function leave the bus; it keeps what it is for its return."""
    away = machine.root / _AWAY
    away.mkdir(parents=True, exist_ok=True)
    (machine.root / _BUS / str(address)).rename(away / str(address))


def cut_link(machine: SimulatedMachine, address: PciAddress) -> None:
    """Have the link of a card's interface go."""
    mark = machine.root / _DOWN / str(address)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    machine.set_link(address, False)


def mend(machine: SimulatedMachine) -> None:
    """Have all be as it was before; twice does no harm."""
    for entry in _entries(machine.root / _AWAY):
        entry.rename(machine.root / _BUS / entry.name)
    for entry in _entries(machine.root / _DOWN):
        machine.set_link(PciAddress.parse(entry.name), True)
        entry.unlink()


def _entries(home: Path) -> list[Path]:
    return sorted(home.iterdir()) if home.is_dir() else []

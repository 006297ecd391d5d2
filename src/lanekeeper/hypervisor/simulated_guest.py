"""One guest of the simulated hypervisor, as it stands in its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.hypervisor.driver import Guest, HeldDevice, Power
from lanekeeper.protocol import DeviceWanted, NicWanted, ServerWanted


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One guest, as it stands in the file.

    Attributes:
        drivers: what each function had before, by address; as libvirt's metadata keeps it.
        interfaces: likewise those below the guest's macvtaps.
        found: VF settings from before the start, which come back after it.
    """

    wanted: ServerWanted
    console: str
    power: Power = "stopped"
    generation: int = 0
    drivers: dict[str, str | None] = {}
    interfaces: dict[str, str] = {}
    found: dict[str, VfSettings] = {}
    starts: int = 0

    def guest(self) -> Guest:
        wanted = (function.device.address for function in functions_of(self.wanted))
        held = (
            (PciAddress.parse(text), self.drivers.get(text), self.interfaces.get(text))
            for text in wanted
        )
        return Guest(
            id=self.wanted.id,
            power=self.power,
            generation=self.generation,
            reboots=self.wanted.reboots,
            devices=tuple(HeldDevice(*one) for one in held),
            taps=tuple(tap.port_id for tap in self.wanted.taps),
            unlinked=frozenset(tap.port_id for tap in self.wanted.taps if not tap.link),
        )


@dataclass(frozen=True, slots=True)
class Function:
    """One function that a guest takes; *nic* is None when it came by an alias."""

    device: DeviceWanted
    nic: NicWanted | None = None

    @property
    def address(self) -> PciAddress:
        return PciAddress.parse(self.device.address)

    @property
    def is_macvtap(self) -> bool:
        """Whether it stays with its host."""
        return self.nic is not None and self.nic.macvtap is not None


def functions_of(server: ServerWanted) -> tuple[Function, ...]:
    """All that a guest takes, its cards first."""
    cards = (Function(nic.device, nic) for nic in server.nics)
    return (*cards, *(Function(device) for device in server.devices))


def load(path: Path) -> dict[str, Record]:
    """Read the file of the guests; none for no file."""
    if not path.exists():
        return {}
    return typed.decode(path.read_bytes(), dict[str, Record])

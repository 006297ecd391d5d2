"""What an agent may ask of a hypervisor. Libvirt and the simulated one both have this shape.

A guest is always defined first, started paused, and resumed when its devices are as they should
be; each step may be repeated, since whoever takes them may be killed between any two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.protocol import NicWanted, NumaCell, ServerWanted, TapWanted

Power = Literal["running", "paused", "stopped", "crashed"]


@dataclass(frozen=True, slots=True)
class HeldDevice:
    """A function that a guest holds, and the driver that it had before (None: none at all).

    Attributes:
        interface: what it is at the host, where the guest has only a macvtap on that.
    """

    address: PciAddress
    driver: str | None
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest of Lanekeeper's, as the hypervisor has it. A fact, never edited.

    Attributes:
        id: the server's id.
        generation: of the wanted state that was fully obeyed; 0 until the first start is done.
        reboots: the count that this run of the guest, or its next start, answers.
        taps: ids of the ports of a virtual switch that it has cards of.
        unlinked: those of them whose card shows the guest no link.
    """

    id: str
    power: Power
    generation: int = 0
    reboots: int = 0
    devices: tuple[HeldDevice, ...] = ()
    taps: tuple[str, ...] = ()
    unlinked: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        """Whether it has its devices in hand."""
        return self.power in {"running", "paused"}


@dataclass(frozen=True, slots=True)
class Stranger:
    """A guest that is somebody else's: told and taken into account, never touched."""

    name: str
    is_active: bool
    devices: tuple[PciAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every guest that the hypervisor knows, running or not."""

    guests: tuple[Guest, ...] = ()
    strangers: tuple[Stranger, ...] = ()

    def guest(self, server_id: str) -> Guest | None:
        return next((guest for guest in self.guests if guest.id == server_id), None)

    def holder(self, address: PciAddress) -> str | None:
        """Name the active guest that has the function in hand; None when nobody has."""
        for guest in self.guests:
            if guest.is_active and any(held.address == address for held in guest.devices):
                return guest.id
        for stranger in self.strangers:
            if stranger.is_active and address in stranger.devices:
                return stranger.name
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much the host has for guests; *version* as ``major * 1000000 + minor * 1000 + micro``,
    *architecture* as the kernel names it. *pairs*: whether a virtio card can stand by for a VF.
    """

    hypervisor: str
    version: int
    vcpus: int
    memory_mib: int
    disk_gib: int
    cells: tuple[NumaCell, ...]
    architecture: str = ""
    pairs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFiles:
    """Where the content of a guest lies on this host; None for what it does not have."""

    console: Path
    disk: Path | None = None
    config_drive: Path | None = None
    kernel: Path | None = None
    ramdisk: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """All that a definition of a guest is made of.

    Attributes:
        devices: drivers that the functions of ``server`` had before the guest got them, and the
            interfaces below its macvtaps.
    """

    server: ServerWanted
    files: GuestFiles
    devices: tuple[HeldDevice, ...] = ()


class Hypervisor(Protocol):
    """Raises everywhere: Unavailable (it does not answer), HostFault (it refused)."""

    def capacity(self) -> Capacity:
        """Measure the host."""

    def inventory(self) -> Inventory:
        """List all guests."""

    def create_disk(self, disk: Path, base: Path, base_format: str, size_gib: int) -> None:
        """Make *disk* an overlay of *base*, which stays as it is; 0 GiB is the base's own size.

        Raises:
            Invalid: *base* is not what it says, is larger than *size_gib*, or points elsewhere.
        """

    def backing_files(self, disk: Path) -> tuple[Path, ...]:
        """Name the files that *disk* is an overlay of, down to the last; a guest may use it.

        Raises:
            HostFault: *disk* is not there, or cannot be understood.
        """

    def define(self, blueprint: Blueprint) -> None:
        """Write the guest's definition, or overwrite it; its recorded generation is kept."""

    def start_paused(self, server_id: str) -> None:
        """Start the guest without running it: it takes its devices. Started already is done."""

    def resume(self, server_id: str) -> None:
        """Let the guest run. Running already is done."""

    def record(self, server_id: str, generation: int) -> None:
        """Remember with the guest that *generation* has been obeyed."""

    def attach(self, server_id: str, nic: NicWanted, held: HeldDevice) -> None:
        """Plug a network card into a guest that is active, now and for its next starts.

        Has it already is done.
        """

    def detach(self, server_id: str, address: PciAddress) -> None:
        """Ask an active guest to let go of a function; it may take its time, or not listen.

        Does not have it, or was asked already, is done.
        """

    def attach_tap(self, server_id: str, tap: TapWanted) -> None:
        """Plug a card of a virtual switch into a guest that is active, and for its next starts.

        Has it already is done.
        """

    def link_tap(self, server_id: str, tap: TapWanted) -> None:
        """Have a card of an active guest show the link that is wanted, and at its next starts."""

    def detach_tap(self, server_id: str, port_id: str) -> None:
        """Ask an active guest to let go of a card of a virtual switch, as ``detach``."""

    def shut_down(self, server_id: str) -> None:
        """Ask the guest to end; it may not listen."""

    def power_off(self, server_id: str) -> None:
        """End the guest at once; its definition stays. Off, or unknown, is done."""

    def undefine(self, server_id: str) -> None:
        """Forget a guest that is off. Unknown is done."""

"""A hypervisor whose guests are records in a file.

What is real about it is what the rest of Lanekeeper meets: a started guest takes its functions
from the (simulated) machine as libvirt's managed devices do, sets MAC and VLAN on its VFs, prints
to its console and goes on running when the agent is killed. The records are all there is, so
whoever opens the file again finds the guests as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import msgspec

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import NO_MAC, VfSettings
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import (
    Blueprint,
    Capacity,
    Guest,
    HeldDevice,
    Inventory,
    Power,
)
from lanekeeper.protocol import DeviceWanted, NicWanted, NumaCell, ServerWanted, TapWanted

VFIO = "vfio-pci"
_OVERLAY = "an overlay of "
_GUEST_DRIVERS = {(0x8086, 0x10CA): "igbvf", (0x8086, 0x10C9): "igb", (0x1B36, 0x0010): "nvme"}
SIMULATED_HOST = Capacity(
    hypervisor="qemu",
    version=10_000_000,
    architecture="x86_64",
    vcpus=64,
    memory_mib=256 * 1024,
    disk_gib=2000,
    cells=(
        NumaCell(id=0, cpus=list(range(32)), memory_mib=128 * 1024),
        NumaCell(id=1, cpus=list(range(32, 64)), memory_mib=128 * 1024),
    ),
)


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One guest, as it stands in the file.

    Attributes:
        drivers: what each function had before, by address; as libvirt's metadata keeps it.
        found: VF settings from before the start, which come back after it.
    """

    wanted: ServerWanted
    console: str
    power: Power = "stopped"
    generation: int = 0
    drivers: dict[str, str | None] = {}
    found: dict[str, VfSettings] = {}
    starts: int = 0

    def guest(self) -> Guest:
        wanted = (function.device.address for function in _functions(self.wanted))
        held = ((PciAddress.parse(text), self.drivers.get(text)) for text in wanted)
        return Guest(
            id=self.wanted.id,
            power=self.power,
            generation=self.generation,
            reboots=self.wanted.reboots,
            devices=tuple(HeldDevice(*pair) for pair in held),
            taps=tuple(tap.port_id for tap in self.wanted.taps),
            unlinked=frozenset(tap.port_id for tap in self.wanted.taps if not tap.link),
        )


@dataclass(frozen=True, slots=True)
class _Function:
    """One function that a guest takes; *nic* is None when it came by an alias."""

    device: DeviceWanted
    nic: NicWanted | None = None

    @property
    def address(self) -> PciAddress:
        return PciAddress.parse(self.device.address)


class SimulatedHypervisor:
    """See ``hypervisor.driver.Hypervisor``; *path* is the file of the guests."""

    def __init__(self, path: Path, machine: Machine, capacity: Capacity = SIMULATED_HOST) -> None:
        self._path = path
        self._machine = machine
        self._capacity = capacity
        self._lock = RLock()
        self._records = _load(path)

    def capacity(self) -> Capacity:
        return self._capacity

    def inventory(self) -> Inventory:
        with self._lock:
            return Inventory(tuple(record.guest() for record in self._records.values()))

    def create_disk(self, disk: Path, base: Path, base_format: str, size_gib: int) -> None:
        del base_format, size_gib  # nothing ever reads this disk
        disk.write_text(f"{_OVERLAY}{base}\n")

    def backing_files(self, disk: Path) -> tuple[Path, ...]:
        try:
            text = disk.read_text()
        except OSError as error:
            raise HostFault(f"{disk}: {error.strerror}") from error
        if not text.startswith(_OVERLAY):
            raise HostFault(f"{disk} is no disk of a simulated guest")
        return (Path(text.removeprefix(_OVERLAY).rstrip("\n")),)

    def define(self, blueprint: Blueprint) -> None:
        server = blueprint.server
        drivers = {held.address: held.driver for held in blueprint.devices}
        with self._lock:
            known = self._records.get(server.id)
            if known and known.power in {"running", "paused"}:
                raise HostFault(f"server {server.id} is active; it cannot be defined anew")
            self._records[server.id] = Record(
                wanted=server,
                console=str(blueprint.files.console),
                generation=known.generation if known else 0,
                starts=known.starts if known else 0,
                drivers={
                    one.device.address: drivers.get(one.address) for one in _functions(server)
                },
            )
            self._save()

    def start_paused(self, server_id: str) -> None:
        with self._lock:
            record = self._record(server_id)
            if record.power in {"running", "paused"}:
                return
            self._attach(record, _functions(record.wanted))
            record.power = "paused"
            record.starts += 1
            self._save()

    def resume(self, server_id: str) -> None:
        with self._lock:
            record = self._record(server_id)
            if record.power == "running":
                return
            if record.power != "paused":
                raise HostFault(f"server {server_id} is {record.power}; it cannot be resumed")
            record.power = "running"
            with Path(record.console).open("a") as console:
                console.writelines(console_lines(record, self._machine))
            self._save()

    def record(self, server_id: str, generation: int) -> None:
        with self._lock:
            self._record(server_id).generation = generation
            self._save()

    def attach(self, server_id: str, nic: NicWanted, held: HeldDevice) -> None:
        with self._lock:
            record = self._active(server_id)
            if held.address in {one.address for one in _functions(record.wanted)}:
                return
            self._attach(record, [_Function(nic.device, nic)])
            record.drivers[nic.device.address] = held.driver
            record.wanted = msgspec.structs.replace(record.wanted, nics=[*record.wanted.nics, nic])
            with Path(record.console).open("a") as console:
                console.write(f"GUEST-PLUGGED mac={nic.mac}\n")
            self._save()

    def detach(self, server_id: str, address: PciAddress) -> None:
        with self._lock:
            record = self._active(server_id)
            gone = [one for one in _functions(record.wanted) if one.address == address]
            self._detach(record, gone)
            wanted = record.wanted
            record.wanted = msgspec.structs.replace(
                wanted,
                nics=[nic for nic in wanted.nics if nic.device.address != str(address)],
                devices=[one for one in wanted.devices if one.address != str(address)],
            )
            self._save()

    def attach_tap(self, server_id: str, tap: TapWanted) -> None:
        with self._lock:
            record = self._active(server_id)
            wanted = record.wanted
            if tap.port_id in {one.port_id for one in wanted.taps}:
                return
            record.wanted = msgspec.structs.replace(wanted, taps=[*wanted.taps, tap])
            with Path(record.console).open("a") as console:
                console.write(f"GUEST-PLUGGED mac={tap.mac}\n")
            self._save()

    def link_tap(self, server_id: str, tap: TapWanted) -> None:
        with self._lock:
            record = self._active(server_id)
            taps = [
                msgspec.structs.replace(one, link=tap.link) if one.port_id == tap.port_id else one
                for one in record.wanted.taps
            ]
            record.wanted = msgspec.structs.replace(record.wanted, taps=taps)
            self._save()

    def detach_tap(self, server_id: str, port_id: str) -> None:
        with self._lock:
            record = self._active(server_id)
            kept = [one for one in record.wanted.taps if one.port_id != port_id]
            record.wanted = msgspec.structs.replace(record.wanted, taps=kept)
            self._save()

    def plugged(self) -> tuple[TapWanted, ...]:
        """The cards that are on a virtual switch now, as they were plugged in."""
        with self._lock:
            return tuple(
                tap
                for record in self._records.values()
                if record.power in {"running", "paused"}
                for tap in record.wanted.taps
            )

    def _active(self, server_id: str) -> Record:
        record = self._record(server_id)
        if record.power not in {"running", "paused"}:
            raise HostFault(f"server {server_id} is {record.power}; nothing can be plugged")
        return record

    def shut_down(self, server_id: str) -> None:
        self.power_off(server_id)  # this guest always listens

    def power_off(self, server_id: str) -> None:
        with self._lock:
            record = self._records.get(server_id)
            if record and record.power in {"running", "paused"}:
                self._detach(record, _functions(record.wanted))
                record.power = "stopped"
                self._save()

    def undefine(self, server_id: str) -> None:
        with self._lock:
            record = self._records.get(server_id)
            if record is None:
                return
            if record.power in {"running", "paused"}:
                raise HostFault(f"server {server_id} is active; it cannot be undefined")
            del self._records[server_id]
            self._save()

    def _record(self, server_id: str) -> Record:
        record = self._records.get(server_id)
        if record is None:
            raise NotFound(f"server {server_id} is not defined")
        return record

    def _save(self) -> None:
        """Replace the file at once; no fsync, since the guests die with the power anyway."""
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._records))
        fresh.replace(self._path)

    def _attach(self, record: Record, functions: Iterable[_Function]) -> None:
        """Take functions as libvirt's managed devices do; on failure give all of them back."""
        taken: list[_Function] = []
        try:
            for function in functions:
                self._refuse_held(function.address, record.wanted.id)
                taken.append(function)
                self._take(function, record)
        except (HostFault, NotFound):
            self._detach(record, taken)
            raise

    def _refuse_held(self, address: PciAddress, server_id: str) -> None:
        holder = self.inventory().holder(address)
        if holder is not None and holder != server_id:
            raise HostFault(f"{address} is in use by guest {holder}")

    def _take(self, function: _Function, record: Record) -> None:
        address = function.address
        if function.device.managed:
            self._machine.bind(address, VFIO)
        elif self._machine.device(address).driver != VFIO:
            raise HostFault(f"{address} is not managed and not bound to {VFIO}")
        nic, vf = function.nic, self._vf(function)
        if nic is not None and vf is not None:
            record.found[function.device.address] = self._machine.vf_settings(*vf)
            self._machine.write_vf_settings(*vf, VfChange(mac=nic.mac, vlan=nic.vlan))

    def _detach(self, record: Record, functions: Iterable[_Function]) -> None:
        """Give back; settings as they were before, and no driver, as with autoprobe off."""
        for function in functions:
            was, vf = record.found.pop(function.device.address, None), self._vf(function)
            if was is not None and vf is not None:
                change = VfChange(mac=was.mac or NO_MAC, vlan=was.vlan, qos=was.qos)
                self._machine.write_vf_settings(*vf, change)
            if function.device.managed:
                self._machine.bind(function.address, None)

    def _vf(self, function: _Function) -> tuple[PciAddress, int] | None:
        """Return PF and index when the function is the VF of a network card."""
        device = self._machine.device(function.address)
        if function.nic is None or device.parent is None or device.vf_index is None:
            return None
        return device.parent, device.vf_index


def console_lines(record: Record, machine: Machine) -> list[str]:
    """What the lab's guest prints about itself: its devices, its cards, its addresses.

    The lines are those of ``lab/guest_init.sh``; it has nobody to ping.
    """
    server = record.wanted
    lines = ["GUEST-INIT 0.50", f"GUEST-SERVER {server.id}"]
    cards: dict[str, str] = {}
    for number, function in enumerate(_functions(server), start=1):
        at, device = f"0000:{number:02x}:00.0", machine.device(function.address)
        driver = _GUEST_DRIVERS.get((device.vendor_id, device.product_id), "-")
        lines.append(
            f"GUEST-PCI {at} {device.vendor_id:04x}:{device.product_id:04x} "
            f"class={device.class_code:06x} driver={driver}"
        )
        if function.nic is not None:
            name = f"eth{len(cards)}"
            cards[function.nic.mac] = name
            lines.append(
                f"GUEST-NET {name} mac={function.nic.mac} driver={driver} pci={at} carrier=1"
            )
    for tap in server.taps:
        name = f"eth{len(cards)}"
        cards[tap.mac] = name
        lines.append(f"GUEST-NET {name} mac={tap.mac} driver=virtio_net carrier={int(tap.link)}")
    lines += [*_address_lines(server.config_drive, cards), "GUEST-READY 1.00"]
    return [f"{line}\n" for line in lines]


def _address_lines(drive: Mapping[str, str], cards: Mapping[str, str]) -> Iterator[str]:
    """Tell the addresses that the config drive gives to the cards, by MAC."""
    text = drive.get("openstack/latest/network_data.json", "{}")
    network = msgspec.json.decode(text, type=_NetworkData)
    mac_by_link = {link.id: link.ethernet_mac_address for link in network.links}
    for one in network.networks:
        mac = mac_by_link.get(one.link, "")
        if one.ip_address and mac in cards:
            yield f"GUEST-ADDRESS {cards[mac]} {one.ip_address} netmask={one.netmask} mac={mac}"


class _Link(msgspec.Struct):
    id: str
    ethernet_mac_address: str = ""


class _Network(msgspec.Struct):
    link: str
    ip_address: str = ""
    netmask: str = ""


class _NetworkData(msgspec.Struct):
    """The part of ``network_data.json`` that gives a card its address."""

    links: list[_Link] = []
    networks: list[_Network] = []


def _functions(server: ServerWanted) -> tuple[_Function, ...]:
    cards = (_Function(nic.device, nic) for nic in server.nics)
    return (*cards, *(_Function(device) for device in server.devices))


def _load(path: Path) -> dict[str, Record]:
    if not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Record])

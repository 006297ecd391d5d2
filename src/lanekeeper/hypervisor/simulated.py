"""A hypervisor whose guests are records in a file.

What is real about it is what the rest of Lanekeeper meets: a started guest takes its functions
from the (simulated) machine as libvirt's managed devices do, sets MAC and VLAN on its VFs, prints
to its console and goes on running when the agent is killed. The records are all there is, so
whoever opens the file again finds the guests as they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import RLock

import msgspec

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import NO_MAC
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import (
    Blueprint,
    Capacity,
    HeldDevice,
    Inventory,
)
from lanekeeper.hypervisor.simulated_console import console_lines
from lanekeeper.hypervisor.simulated_guest import Function, Record, functions_of, load
from lanekeeper.protocol import NicWanted, NumaCell, TapWanted

VFIO = "vfio-pci"
_OVERLAY = "an overlay of "
SIMULATED_HOST = Capacity(
    hypervisor="qemu",
    version=10_000_000,
    architecture="x86_64",
    vcpus=64,
    memory_mib=256 * 1024,
    disk_gib=2000,
    pairs=True,
    cells=(
        NumaCell(id=0, cpus=list(range(32)), memory_mib=128 * 1024),
        NumaCell(id=1, cpus=list(range(32, 64)), memory_mib=128 * 1024),
    ),
)


class SimulatedHypervisor:
    """See ``hypervisor.driver.Hypervisor``; *path* is the file of the guests."""

    def __init__(self, path: Path, machine: Machine, capacity: Capacity = SIMULATED_HOST) -> None:
        self._path = path
        self._machine = machine
        self._capacity = capacity
        self._lock = RLock()
        self._records = load(path)

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
                    one.device.address: drivers.get(one.address) for one in functions_of(server)
                },
                interfaces={
                    str(held.address): held.interface
                    for held in blueprint.devices
                    if held.interface
                },
            )
            self._save()

    def start_paused(self, server_id: str) -> None:
        with self._lock:
            record = self._record(server_id)
            if record.power in {"running", "paused"}:
                return
            self._attach(record, functions_of(record.wanted))
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
            if held.address in {one.address for one in functions_of(record.wanted)}:
                return
            if held.interface is not None:
                record.interfaces[nic.device.address] = held.interface
            self._attach(record, [Function(nic.device, nic)])
            record.drivers[nic.device.address] = held.driver
            record.wanted = msgspec.structs.replace(record.wanted, nics=[*record.wanted.nics, nic])
            with Path(record.console).open("a") as console:
                console.write(f"GUEST-PLUGGED mac={nic.mac}\n")
            self._save()

    def detach(self, server_id: str, address: PciAddress) -> None:
        with self._lock:
            record = self._active(server_id)
            gone = [one for one in functions_of(record.wanted) if one.address == address]
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
                self._detach(record, functions_of(record.wanted))
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

    def _attach(self, record: Record, functions: Iterable[Function]) -> None:
        """Take functions as libvirt's managed devices do; on failure give all of them back."""
        taken: list[Function] = []
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

    def _take(self, function: Function, record: Record) -> None:
        address = function.address
        if function.is_macvtap:
            self._stand_on(address, record)
        elif function.device.managed:
            self._machine.bind(address, VFIO)
        elif not is_vfio(self._machine.device(address).driver):
            raise HostFault(
                f"{address} is not managed and not bound to a VFIO driver",
                hint=f"bind {VFIO} or its own VFIO driver, or leave managed out of device_spec",
            )
        nic, vf = function.nic, self._vf(function)
        if nic is not None and vf is not None:
            record.found[function.device.address] = self._machine.vf_settings(*vf)
            self._machine.write_vf_settings(*vf, VfChange(mac=nic.mac, vlan=nic.vlan))

    def _stand_on(self, address: PciAddress, record: Record) -> None:
        """Begin a macvtap, as libvirt does by the name of an interface."""
        name = record.interfaces.get(str(address))
        found = self._machine.interface(address)
        if found.name != name or not found.is_up:
            raise HostFault(f"no interface {name} that is up: {address} is {found}")

    def _detach(self, record: Record, functions: Iterable[Function]) -> None:
        """Give back; settings as they were before, and no driver, as with autoprobe off."""
        for function in functions:
            was, vf = record.found.pop(function.device.address, None), self._vf(function)
            if was is not None and vf is not None:
                change = VfChange(mac=was.mac or NO_MAC, vlan=was.vlan, qos=was.qos)
                self._machine.write_vf_settings(*vf, change)
            if function.device.managed and not function.is_macvtap:
                self._machine.bind(function.address, None)

    def _vf(self, function: Function) -> tuple[PciAddress, int] | None:
        """Return PF and index when the function is the VF of a network card."""
        device = self._machine.device(function.address)
        if function.nic is None or device.parent is None or device.vf_index is None:
            return None
        return device.parent, device.vf_index

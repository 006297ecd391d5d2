"""Bringing guests up and down: the steps, their order, and the way back when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from lanekeeper.agent.admission import check_bridge, check_device
from lanekeeper.agent.cleaning import check_identity
from lanekeeper.agent.driver_record import Function, function_of
from lanekeeper.agent.macvtap import lend, restore
from lanekeeper.agent.observe import View
from lanekeeper.agent.vf_settings import (
    agents_share,
    set_and_check,
    vf_of,
    write_missing,
)
from lanekeeper.agent.workshop import Workshop
from lanekeeper.crash import reached
from lanekeeper.domain.errors import Error, HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.config_drive import config_drive
from lanekeeper.hypervisor.driver import (
    Blueprint,
    Guest,
    GuestFiles,
    HeldDevice,
)
from lanekeeper.hypervisor.durable_file import settle, write_durably
from lanekeeper.protocol import DeviceWanted, NicWanted, ServerWanted, TapWanted

_LOOK_AGAIN_S = 0.5

Unsupported = Mapping[PciAddress, frozenset[str]]

log = structlog.get_logger()


def start(shop: Workshop, server: ServerWanted, view: View) -> Unsupported:
    """Bring the guest up from wherever it is; returns what its VFs' drivers do not know.

    The guest first runs when all settings of its VFs, and what guards its ports of a virtual
    switch, were read back. When a step fails it is powered off, and its devices are back at the
    host; one that has run before and is paused stays so.

    Raises:
        Error: what failed, for the user of the server.
    """
    hypervisor = shop.hypervisor
    guest = hypervisor.inventory().guest(server.id)
    if guest is not None and guest.is_active and not _matches(guest, server):
        hypervisor.power_off(server.id)
        guest = None
    has_run = guest is not None and guest.is_active and guest.generation > 0
    if guest is None or not guest.is_active:
        define(shop, server, view)
        reached("agent.start.before")
        hypervisor.start_paused(server.id)
        reached("agent.start.after")
    try:
        unsupported = dict(_settle_vfs(shop.machine, server.id, server.nics))
        shop.guards.require(server.taps, view)
        hypervisor.resume(server.id)
    except Error:
        if not has_run:
            hypervisor.power_off(server.id)
        raise
    hypervisor.record(server.id, server.generation)
    return unsupported


def restart(shop: Workshop, server: ServerWanted, view: View) -> Unsupported:
    """Power the guest off and bring it up as it is wanted now. Raises as ``start``."""
    shop.hypervisor.power_off(server.id)
    return start(shop, server, view)


def pause(shop: Workshop, server: ServerWanted) -> None:
    """Have the running guest's CPUs stand still; memory and devices stay with it."""
    shop.hypervisor.pause(server.id)
    reached("agent.pause.after")
    shop.hypervisor.record(server.id, server.generation)


def stop(shop: Workshop, server: ServerWanted, view: View) -> None:
    """Have the guest off, defined, and noted as such. It is asked first, then made to."""
    guest = shop.hypervisor.inventory().guest(server.id)
    if guest is None:
        define(shop, server, view)
    elif guest.is_active:
        shop.hypervisor.shut_down(server.id)
        _wait_until_off(shop, server.id)
        shop.hypervisor.power_off(server.id)
    shop.hypervisor.record(server.id, server.generation)


def destroy(shop: Workshop, server_id: str) -> None:
    """Leave nothing of the guest: not running, not defined, no files. Done already is done."""
    guest = shop.hypervisor.inventory().guest(server_id)
    if guest is not None:
        # The definition knows the drivers from before; the cleaning comes after it is gone.
        shop.drivers.remember(dict(_in_hand(shop.machine, guest)))
        reached("agent.destroy.before")
        shop.hypervisor.power_off(server_id)
        shop.hypervisor.undefine(server_id)
        reached("agent.destroy.after")
    shop.directories.remove(server_id)


def attach(shop: Workshop, server: ServerWanted, nic: NicWanted, view: View) -> Unsupported:
    """Plug a network card into the running guest; returns what its VF's driver does not know.

    What libvirt does not set is set before the guest sees the VF; all is read back after it.

    Raises:
        Error: what failed; the guest does not have the card then.
    """
    address = PciAddress.parse(nic.device.address)
    device = shop.machine.device(address)
    # Only this function is plugged: what the guest has of its group is with VFIO, or hinders it.
    check_device(shop.machine, device, nic.device, view, [address], leaves=nic.macvtap is None)
    function = function_of(shop.machine, device)
    shop.drivers.remember({function: device.driver})
    _raise_links(shop.machine, [nic], view)
    if nic.vf_index is not None and nic.macvtap is None:
        write_missing(shop.machine, *vf_of(shop.machine, address), agents_share(nic))
    reached("agent.attach.before")
    shop.hypervisor.attach(server.id, nic, _held(shop, function, nic))
    reached("agent.attach.after")
    try:
        return dict(_settle_vfs(shop.machine, server.id, [nic]))
    except Error:
        shop.hypervisor.detach(server.id, address)
        raise


def detach(shop: Workshop, server: ServerWanted, address: PciAddress) -> None:
    """Have the running guest let go of a function, and wait for it.

    Raises:
        HostFault: it has not yet; the function is the guest's as long as that.
    """
    reached("agent.detach.before")
    shop.hypervisor.detach(server.id, address)
    reached("agent.detach.after")
    _await_let_go(
        shop,
        server.id,
        str(address),
        lambda guest: address in {one.address for one in guest.devices},
    )


def attach_tap(shop: Workshop, server: ServerWanted, tap: TapWanted, view: View) -> None:
    """Plug a card of a virtual switch into the running guest.

    One that is guarded passes nothing until its flows are there, which each look sees to.

    Raises:
        Error: what failed.
    """
    check_bridge(tap, view)
    reached("agent.attach.before")
    shop.hypervisor.attach_tap(server.id, tap)
    reached("agent.attach.after")
    shop.guards.require([tap], view)


def detach_tap(shop: Workshop, server: ServerWanted, port_id: str) -> None:
    """Have the running guest let go of a card of a virtual switch. Raises as ``detach``."""
    reached("agent.detach.before")
    shop.hypervisor.detach_tap(server.id, port_id)
    reached("agent.detach.after")
    _await_let_go(shop, server.id, f"port {port_id}", lambda guest: port_id in guest.taps)


def _await_let_go(shop: Workshop, server_id: str, what: str, has: Callable[[Guest], bool]) -> None:
    end = shop.stopwatch() + shop.detach_wait_s
    while True:
        guest = shop.hypervisor.inventory().guest(server_id)
        if guest is None or not guest.is_active or not has(guest):
            return
        if shop.stopwatch() >= end:
            raise HostFault(
                f"the guest has been asked to let go of {what} and has it still",
                hint="its kernel needs PCI hot plug (pciehp); a hard reboot lets go, too",
            )
        shop.sleep(_LOOK_AGAIN_S)


def mend(shop: Workshop, nic: NicWanted, lost: tuple[str, ...]) -> Unsupported:
    """Write the settings of a running guest's VF again, since it has *lost* some.

    So is the interface below its macvtap, if that is what it has.

    Raises:
        HostFault: they do not take, or another card is there by now; the VF and what it has lost
            are named.
    """
    address = PciAddress.parse(nic.device.address)
    try:
        check_identity(shop.machine, shop.machine.device(address), nic.device)
        unknown = set_and_check(shop.machine, address, nic, nic.settings())
        if nic.macvtap is not None:
            restore(shop.machine, nic)
    except Error as error:
        raise HostFault(
            f"VF {address} of the running guest has not the {', '.join(lost)} that is wanted, and "
            f"it cannot be set: {error}",
            hint=error.hint,
        ) from error
    return {address: unknown}


def define(shop: Workshop, server: ServerWanted, view: View) -> None:
    """Lay out the guest's files and write its definition; a disk that is there stays."""
    devices = [shop.machine.device(PciAddress.parse(one.address)) for one in _wanted(server)]
    stay = {
        PciAddress.parse(nic.device.address): nic for nic in server.nics if nic.macvtap is not None
    }
    own = [one.address for one in devices if one.address not in stay]
    for device, wanted in zip(devices, _wanted(server), strict=True):
        leaves = device.address not in stay
        check_device(shop.machine, device, wanted, view, own, leaves=leaves)
    for tap in server.taps:
        check_bridge(tap, view)
    files = _lay_out(shop, server)
    functions = {function_of(shop.machine, device): device.driver for device in devices}
    shop.drivers.remember(functions)
    _raise_links(shop.machine, server.nics, view)
    held = tuple(_held(shop, one, stay.get(one.address)) for one in functions)
    reached("agent.define.before")
    shop.hypervisor.define(Blueprint(server=server, files=files, devices=held))
    reached("agent.define.after")


def _in_hand(machine: Machine, guest: Guest) -> Iterator[tuple[Function, str | None]]:
    """Tell what the guest's definition knows of the functions that it still has.

    What it has no more may be another card's by now, which has a driver of its own.
    """
    for held in guest.devices:
        try:
            device = machine.device(held.address)
            if guest.is_active or is_vfio(device.driver):
                yield function_of(machine, device), held.driver
        except NotFound:
            continue  # it went away with its card


def _held(shop: Workshop, function: Function, nic: NicWanted | None) -> HeldDevice:
    """Note what a function was; one that a card has by a macvtap is made ready for that."""
    before = shop.drivers.driver(function)
    interface = lend(shop, nic) if nic is not None and nic.macvtap is not None else None
    return HeldDevice(function.address, before.driver if before is not None else None, interface)


def _wanted(server: ServerWanted) -> list[DeviceWanted]:
    return [*(nic.device for nic in server.nics), *server.devices]


def _matches(guest: Guest, server: ServerWanted) -> bool:
    """Whether what runs is this very order, left half-way by an earlier attempt."""
    held = {*(str(one.address) for one in guest.devices), *guest.taps}
    wanted = {str(PciAddress.parse(one.address)) for one in _wanted(server)}
    wanted |= {tap.port_id for tap in server.taps}
    return held == wanted and guest.reboots == server.reboots


def _lay_out(shop: Workshop, server: ServerWanted) -> GuestFiles:
    home = shop.directories.of(server.id)
    home.make()
    kernel = shop.images.path(server.kernel) if server.kernel else None
    ramdisk = shop.images.path(server.ramdisk) if server.ramdisk else None
    if server.image is not None and not home.disk.exists():
        base = shop.images.path(server.image)
        fresh = home.disk.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        shop.hypervisor.create_disk(fresh, base, server.image.disk_format, server.disk_gib)
        settle(fresh, home.disk)
    if server.config_drive:
        write_durably(home.config_drive, config_drive(server.config_drive), 0o644)
    return GuestFiles(
        console=home.console,
        disk=home.disk if server.image is not None else None,
        config_drive=home.config_drive if server.config_drive else None,
        kernel=kernel,
        ramdisk=ramdisk,
    )


def _raise_links(machine: Machine, nics: Sequence[NicWanted], view: View) -> None:
    """Set the PFs of network cards up: a VF driver finds no mailbox without."""
    pfs = {
        vf_of(machine, PciAddress.parse(nic.device.address))[0]
        for nic in nics
        if nic.vf_index is not None
    }
    for pf in sorted(pfs):
        if machine.device(pf).netdev not in view.management:
            machine.set_link(pf, True)


def _settle_vfs(
    machine: Machine, server_id: str, nics: Sequence[NicWanted]
) -> Iterator[tuple[PciAddress, frozenset[str]]]:
    for nic in nics:
        if nic.vf_index is None:
            continue  # a whole PF: nobody above it holds settings
        address = PciAddress.parse(nic.device.address)
        unknown = set_and_check(machine, address, nic, agents_share(nic))
        if unknown:
            log.warning(
                "vf settings unknown to driver",
                server=server_id,
                device=str(address),
                settings=sorted(unknown),
            )
        yield address, unknown


def _wait_until_off(shop: Workshop, server_id: str) -> None:
    end = shop.stopwatch() + shop.shutdown_wait_s
    while shop.stopwatch() < end:
        guest = shop.hypervisor.inventory().guest(server_id)
        if guest is None or not guest.is_active:
            return
        shop.sleep(_LOOK_AGAIN_S)

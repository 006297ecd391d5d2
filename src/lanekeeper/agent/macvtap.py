"""VFs that stay with their host: the guest has a macvtap on the VF's interface.

The PF is told the VF's settings before the host's driver is asked what the VF's MAC is: a driver
that knows another one can be refused the right one by the PF (82576: "Cannot assign requested
address"), and then has to begin anew.
"""

from __future__ import annotations

from lanekeeper.agent.driver_record import function_of
from lanekeeper.agent.vf_settings import vf_of, write_missing
from lanekeeper.agent.workshop import Workshop
from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.interface import HostInterface
from lanekeeper.host.machine import Machine
from lanekeeper.protocol import NicWanted

_INTERFACE_WAIT_S = 10.0
_LOOK_AGAIN_S = 0.1


def lend(shop: Workshop, nic: NicWanted) -> str:
    """Have the VF be an interface of the host, up, as the port wants it; returns its name.

    A VF that is on VFIO, or on no driver, gets the host's first: the one it had before, or the
    one that is for it.

    Raises:
        HostFault: there is no such driver, or a setting did not take; it is named.
    """
    machine, address = shop.machine, PciAddress.parse(nic.device.address)
    device = machine.device(address)
    if device.driver is None or is_vfio(device.driver):
        machine.bind(address, _driver(shop, device))
    write_missing(machine, *vf_of(machine, address), nic.settings())
    _await_interface(shop, address)
    try:
        machine.set_interface(address, nic.mac, nic.mtu)
    except HostFault:
        driver = machine.device(address).driver
        machine.bind(address, None)
        machine.bind(address, driver)
        _await_interface(shop, address)
        machine.set_interface(address, nic.mac, nic.mtu)
    found = machine.interface(address)
    if has_fallen(nic, found):
        raise HostFault(f"interface {found.name} of {address} does not take MAC {nic.mac}: {found}")
    return found.name


def restore(machine: Machine, nic: NicWanted) -> None:
    """Set the interface below a running guest's macvtap up again. Raises HostFault, NotFound."""
    machine.set_interface(PciAddress.parse(nic.device.address), nic.mac, nic.mtu)


def has_fallen(nic: NicWanted, found: HostInterface) -> bool:
    """Whether an interface does not carry its guest; a trusted one may have given it a MAC."""
    return not found.is_up or (found.mac != nic.mac and not nic.trusted)


def check_bare(machine: Machine, device: PciDevice) -> None:
    """Pass a VF on whose interface nothing stands.

    Raises:
        HostFault: something does: the host uses it, or a guest that is not Lanekeeper's.
    """
    if device.parent is None or device.netdev is None:
        return
    try:
        uppers = machine.interface(device.address).uppers
    except NotFound:
        return  # it lost its driver meanwhile
    if uppers:
        raise HostFault(
            f"{device.address} is in use: {', '.join(uppers)} stands on its interface "
            f"{device.netdev}",
            hint="ip link shows it; take it away, or leave the VF out of device_spec",
        )


def _driver(shop: Workshop, device: PciDevice) -> str:
    before = shop.drivers.driver(function_of(shop.machine, device))
    if before is not None and before.driver is not None and not is_vfio(before.driver):
        return before.driver
    driver = shop.machine.host_driver(device)
    if driver is None:
        raise HostFault(
            f"{device.address} ({device.vendor_id:04x}:{device.product_id:04x}) cannot be an "
            "interface of this host, which a macvtap stands on: no driver for it is loaded",
            hint="load the driver of the card's VFs (for an 82576: modprobe igbvf)",
        )
    return driver


def _await_interface(shop: Workshop, address: PciAddress) -> None:
    """Wait until the VF's driver has made an interface of it, and udev has named that."""
    end = shop.stopwatch() + _INTERFACE_WAIT_S
    while True:
        try:
            is_there, is_named = True, shop.machine.interface(address).is_named
        except NotFound:
            is_there, is_named = False, False
        if is_named:
            return
        if shop.stopwatch() >= end:
            break
        shop.sleep(_LOOK_AGAIN_S)
    if not is_there:
        driver = shop.machine.device(address).driver
        raise HostFault(f"driver {driver} has made no interface of {address}")

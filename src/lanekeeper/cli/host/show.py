"""``lanekeeper host show``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.device_view import (
    FINE,
    PLAIN,
    Branches,
    devices_text,
    inventory_json,
    is_bridge,
)
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.inventory import Inventory, read_inventory

Devices = tuple[PciDevice, ...]


def show_host(arguments: argparse.Namespace) -> int:
    """Print the PCI functions; refuse a filter that chooses none, with what is near it."""
    with target_of(arguments) as target:
        inventory = read_inventory(target.root, live=not target.is_captured)
    chosen = _chosen(arguments, inventory)
    if not arguments.json:
        chosen = tuple(one for one in chosen if arguments.bridges or not is_bridge(one))
    text = devices_text(inventory, chosen, _branches())
    show(arguments, inventory_json(inventory, chosen), text)
    return exit_code.DONE


def _branches() -> Branches:
    try:
        "".join(FINE).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return FINE


def _chosen(arguments: argparse.Namespace, inventory: Inventory) -> Devices:
    found = inventory.devices
    if arguments.pf is not None:
        found = _of_pf(found, arguments.pf)
    if arguments.netdev is not None:
        found = _of_netdev(found, arguments.netdev)
    if arguments.address is not None:
        found = _at(found, arguments.address)
    return found


def _of_pf(devices: Devices, text: str) -> Devices:
    try:
        address = PciAddress.parse(text)
    except Invalid as error:
        raise Invalid(f"--pf: {error}") from error
    found = tuple(one for one in devices if address in (one.address, one.parent))
    if not any(one.dev_type is DeviceType.PF for one in found):
        pfs = [str(one.address) for one in devices if one.dev_type is DeviceType.PF]
        near = _near(str(address), pfs, "PFs")
        for one in found:
            if one.address == address:
                is_vf = f"that is VF {one.vf_index} of {one.parent}: --pf {one.parent}"
                near = is_vf if one.parent else f"what is there has no SR-IOV; {near}"
        raise NotFound(f"--pf {text}: no PF is there", hint=near)
    return found


def _of_netdev(devices: Devices, name: str) -> Devices:
    at = next((one.address for one in devices if one.netdev == name), None)
    if at is None:
        known = [one.netdev for one in devices if one.netdev]
        raise NotFound(
            f"--netdev {name}: no PCI function has it", hint=_near(name, known, "interfaces")
        )
    return tuple(one for one in devices if at in (one.address, one.parent))


def _at(devices: Devices, pattern: str) -> Devices:
    wanted = pattern.lower()
    fits = _fits(wanted)
    found = tuple(one for one in devices if fits(str(one.address)))
    if not found:
        known = [str(one.address) for one in devices]
        raise NotFound(
            f"--address {pattern}: no function is there", hint=_near(wanted, known, "functions")
        )
    return found


def _fits(wanted: str) -> Callable[[str], bool]:
    """An address may leave its domain out, as lspci's do."""
    return lambda text: (
        fnmatchcase(text, wanted) or (text.startswith("0000:") and fnmatchcase(text[5:], wanted))
    )


def _near(text: str, known: list[str], what: str) -> str:
    from difflib import get_close_matches  # who chooses well does without

    near = get_close_matches(text, known, n=3, cutoff=0.5) or known[:3]
    return f"there are {what} such as {', '.join(near)}" if near else f"this host has no {what}"

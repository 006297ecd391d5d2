"""What PFs hold for their VFs, on this machine and on one that is a directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.attribute import read_bytes
from lanekeeper.host.fault import Faults
from lanekeeper.host.linux import LinuxMachine

CAPTURED = "captured/vf-settings"
SIMULATED = "simulated"
_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification

Settings = dict[PciAddress, dict[int, VfSettings]]


def read_vf_settings(root: Path, pfs: tuple[PciDevice, ...], faults: Faults) -> Settings:
    """Return the settings of all VFs of network cards among *pfs*, by PF and index.

    A PF that gives no answer is left out, and is a fault where *faults* keeps them.
    """
    found: Settings = {}
    for pf in pfs:
        if pf.num_vfs and pf.class_code >> 16 == _NETWORK and pf.netdev:
            told = faults.part(f"VF settings of {pf.address}", lambda p=pf: _of(root, p), None)  # type: ignore[misc]
            if told is not None:
                found[pf.address] = told
    return found


def _of(root: Path, pf: PciDevice) -> dict[int, VfSettings]:
    if root.resolve() != Path("/"):
        return {index: kept_settings(root, str(pf.address), index) for index in range(pf.num_vfs)}
    try:
        return LinuxMachine(root).all_vf_settings(pf.address)
    except HostFault:
        raise
    except Error as error:  # its interface went away meanwhile
        raise HostFault(str(error)) from error


def kept_settings(root: Path, pf: str, index: int) -> VfSettings:
    """Return what a directory holds: written since by a simulated machine, or captured before.

    Raises:
        HostFault: what was captured makes no sense.
    """
    written = read_bytes(str(root / SIMULATED / f"{pf}-{index}.json"))
    if written is not None:
        return msgspec.json.decode(written, type=VfSettings)
    captured = read_bytes(str(root / CAPTURED))
    if captured is None:
        return VfSettings()
    try:
        told = msgspec.json.decode(captured, type=dict[str, dict[int, VfSettings]])
    except msgspec.MsgspecError as error:
        raise HostFault(f"/{CAPTURED} makes no sense: {error}") from error
    return told.get(pf, {}).get(index, VfSettings())


def forget_settings(root: Path, pf: str, index: int) -> None:
    """Let a new VF of a directory begin clean, whatever was captured of one before it."""
    if (root / CAPTURED).exists():
        (root / SIMULATED).mkdir(exist_ok=True)
        path = root / SIMULATED / f"{pf}-{index}.json"
        path.write_bytes(msgspec.json.encode(VfSettings()))

"""What PFs hold for their VFs, on this machine and on one that is a directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lanekeeper.domain.errors import Error, HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.attribute import read_bytes
from lanekeeper.host.fault import Faults

CAPTURED = "captured/vf-settings"
SIMULATED = "simulated"
_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification

Settings = dict[PciAddress, dict[int, VfSettings]]


def read_vf_settings(root: Path, pfs: Iterable[PciDevice], faults: Faults) -> Settings:
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


def were_kept(root: Path) -> bool:
    """Whether anybody wrote VF settings down below *root*; else VFs there are taken for clean."""
    return any((root / name).exists() for name in (CAPTURED, SIMULATED))


def encode_settings(settings: Mapping[PciAddress, Mapping[int, VfSettings]]) -> str:
    """Write *settings* down as a capture keeps them."""
    import msgspec

    return msgspec.json.encode({str(pf): found for pf, found in settings.items()}).decode()


def _of(root: Path, pf: PciDevice) -> dict[int, VfSettings]:
    if root.resolve() != Path("/"):
        return kept_settings(root, str(pf.address), range(pf.num_vfs))
    from lanekeeper.host.linux import LinuxMachine  # netlink's library is large

    try:
        return LinuxMachine(root).all_vf_settings(pf.address)
    except HostFault:
        raise
    except Error as error:  # its interface went away meanwhile
        raise HostFault(str(error)) from error


def kept_settings(root: Path, pf: str, indexes: Iterable[int]) -> dict[int, VfSettings]:
    """Return what a directory holds for some VFs: written since by a simulated machine, or
    captured before, or clean.

    Raises:
        HostFault: what was captured makes no sense.
    """
    captured = _captured(root).get(PciAddress.parse(pf), {})
    written = {index: read_bytes(str(settings_file(root, pf, index))) for index in indexes}
    return {
        index: captured.get(index, VfSettings()) if text is None else _decode(text)
        for index, text in written.items()
    }


def settings_file(root: Path, pf: str, index: int) -> Path:
    """Return where a simulated machine keeps what was written to a VF."""
    return root / SIMULATED / f"{pf}-{index}.json"


def forget_settings(root: Path, pf: str, index: int) -> None:
    """Let a new VF of a directory begin clean, whatever was captured of one before it."""
    if (root / CAPTURED).exists():
        import msgspec

        path = settings_file(root, pf, index)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.encode(VfSettings()))


def _decode(text: bytes) -> VfSettings:
    from lanekeeper.domain import typed

    return typed.decode(text, VfSettings)


def _captured(root: Path) -> Settings:
    text = read_bytes(str(root / CAPTURED))
    if text is None:
        return {}
    import msgspec  # only captures have this

    from lanekeeper.domain import typed

    try:
        told = typed.decode(text, dict[str, dict[int, VfSettings]])
        return {PciAddress.parse(pf): found for pf, found in told.items()}
    except (msgspec.MsgspecError, Invalid) as error:
        raise HostFault(f"/{CAPTURED} makes no sense: {error}") from error

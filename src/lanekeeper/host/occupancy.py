"""Whether VFs may be taken away: somebody may have got them since the plan was made.

The agent and libvirt give VFs to guests without the lock of the changes, so it is asked right
before each step that would take one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.hostplan.action import BindDevice, BindVf, Change, SetVfCount
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.holder import HolderKind
from lanekeeper.host.fault import Faults
from lanekeeper.host.holder import read_holders


class Bus(Protocol):
    """The PCI functions of a machine."""

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        """Raises NotFound, HostFault."""

    def device(self, address: PciAddress) -> PciDevice:
        """Raises NotFound, HostFault."""


class Guard(Protocol):
    """Keeps what others got since a change was planned. ``Occupancy`` is one."""

    def require_free(self, action: Change, made_here: bool) -> None:
        """Raises Conflict: *action* would take it away. *made_here*: the change itself made it."""

    def is_passed_on(self, did: Change, undo: Change) -> bool:
        """Return whether somebody else took over what *undo* of *did* would give back."""


class Unguarded:
    """Lets every action be done."""

    def require_free(self, action: Change, made_here: bool) -> None:
        pass

    def is_passed_on(self, did: Change, undo: Change) -> bool:
        return False


class Occupancy:
    """The VFs of the machine below *root*, as they are whenever it is asked."""

    def __init__(self, root: Path, bus: Bus) -> None:
        self._root = root
        self._bus = bus

    def require_free(self, action: Change, made_here: bool) -> None:
        """Refuse to take a VF from whoever has it, or may have it.

        Args:
            action: what is about to be done.
            made_here: the same change made the VFs. They may be on a VFIO driver then, by its own
                steps or since they appeared; a guest or a process that has one keeps it even so.

        Raises:
            Conflict: a VF is in use. Nothing was changed.
            HostFault: that cannot be read.
        """
        vfs = self._taken_by(action)
        holders = read_holders(self._root, vfs, Faults(keep=True)) if vfs else {}
        for vf in vfs:
            holder = holders.get(vf.address)
            if holder is not None and holder.kind is not HolderKind.UNKNOWN:
                raise Conflict(f"{vf.address} is in use by {holder}", hint=_HINT)
            if is_vfio(vf.driver) and not made_here:
                raise Conflict(
                    f"{vf.address} is on {vf.driver} since the plan was made, for a guest maybe",
                    hint=_HINT,
                )

    def is_passed_on(self, did: Change, undo: Change) -> bool:
        """Return whether the VF that *undo* is about went to VFIO by somebody else than *did*.

        It is that one's then, who gives it back to a driver when the guest ends.

        Raises:
            HostFault: that cannot be read.
        """
        if isinstance(did, BindDevice) and isinstance(undo, BindDevice):
            vf = self._present(undo.address)
        elif isinstance(did, BindVf) and isinstance(undo, BindVf):
            vf = self._vfs(undo.pf).get(undo.index)
        else:
            return False
        return vf is not None and is_vfio(vf.driver) and vf.driver not in (did.driver, undo.driver)

    def _taken_by(self, action: Change) -> Sequence[PciDevice]:
        if isinstance(action, SetVfCount) and not action.count:
            return [*self._vfs(action.pf).values()]
        if isinstance(action, BindVf):
            vf = self._vfs(action.pf).get(action.index)
            return [vf] if vf is not None and vf.driver not in (None, action.driver) else []
        if isinstance(action, BindDevice):
            device = self._present(action.address)
            is_taken = device is not None and device.driver not in (None, action.driver)
            return [device] if device is not None and is_taken else []
        return []

    def _present(self, address: str) -> PciDevice | None:
        try:
            return self._bus.device(PciAddress.parse(address))
        except NotFound:
            return None

    def _vfs(self, pf: str) -> dict[int, PciDevice]:
        addresses = self._bus.vf_addresses(PciAddress.parse(pf))
        return {index: self._bus.device(at) for index, at in addresses.items()}


_HINT = "stop the guest that has it, then try again"

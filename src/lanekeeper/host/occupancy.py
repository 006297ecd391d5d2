"""Whether VFs may be taken away: somebody may have got them since the plan was made.

The agent and libvirt give VFs to guests without the lock of the changes, so it is asked right
before each step that would take one. Whoever goes back asks once more before the first undo: a
guest that keeps its VF is cut off all the same when the PF's link or its bridge goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from lanekeeper.domain.errors import Conflict, HostFault, NotFound
from lanekeeper.domain.hostplan.action import (
    BindDevice,
    BindVf,
    Change,
    RemoveBridge,
    SetAutoprobe,
    SetFirmware,
    SetVfCount,
)
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.holder import HolderKind
from lanekeeper.host.fault import Faults
from lanekeeper.host.holder import read_holders
from lanekeeper.host.interfaces import read_netdevs
from lanekeeper.host.ovs import read_bridges

Undone = tuple[Change, Change]
"""What was done, and one action that takes it back."""

_Vfs = Callable[[str], Mapping[int, PciDevice]]
_UNNOTICED = (SetAutoprobe, SetFirmware)
"""What no running guest notices: it is about VFs to come, or the card's next start."""


class Bus(Protocol):
    """The PCI functions of a machine."""

    def vf_addresses(self, pf: PciAddress) -> dict[int, PciAddress]:
        """Raises NotFound, HostFault."""

    def device(self, address: PciAddress) -> PciDevice:
        """Raises NotFound, HostFault."""


class Undoable(Protocol):
    """What can be taken back. ``host.journal.Journal`` is one."""

    def undone(self) -> Sequence[Undone]:
        """Return what was done with each action that would take it back, in their order."""


class Guard(Protocol):
    """Keeps what others got since a change was planned. ``Occupancy`` is one."""

    def require_free(self, action: Change, made_here: bool) -> None:
        """Raises Conflict: *action* would take it away. *made_here*: the change itself made it."""

    def is_passed_on(self, did: Change, undo: Change) -> bool:
        """Return whether somebody else took over what *undo* of *did* would give back."""

    def cut_off(self, undone: Iterable[Undone]) -> tuple[str, ...]:
        """Name the functions in guests whose card *undone* touches, with the guests."""


class Unguarded:
    """Lets every action be done."""

    def require_free(self, action: Change, made_here: bool) -> None:
        pass

    def is_passed_on(self, did: Change, undo: Change) -> bool:
        return False

    def cut_off(self, undone: Iterable[Undone]) -> tuple[str, ...]:
        return ()


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
        return self._is_passed_on(did, undo, self._vfs)

    def cut_off(self, undone: Iterable[Undone]) -> tuple[str, ...]:
        """Name the functions in guests, or with processes, that *undone* would cut off.

        An action about one VF touches that one alone; one about its PF, or about a bridge that
        has a port of the card, touches all of the PF.

        Raises:
            HostFault: the functions cannot be read.
        """
        vfs: _Vfs = cache(self._vfs_left)
        found: dict[PciAddress, PciDevice] = {}
        for did, undo in undone:
            if not self._is_passed_on(did, undo, vfs):
                found |= {each.address: each for each in self._touched(undo, vfs)}
        faults = Faults(keep=True)
        holders = read_holders(self._root, found.values(), faults) if found else {}
        held = [
            at
            for at in found
            if at in holders and (faults.found or holders[at].kind is not HolderKind.UNKNOWN)
        ]
        return tuple(f"{at} ({holders[at]})" for at in sorted(held))

    def _is_passed_on(self, did: Change, undo: Change, vfs: _Vfs) -> bool:
        if isinstance(did, BindDevice) and isinstance(undo, BindDevice):
            vf = self._present(undo.address)
        elif isinstance(did, BindVf) and isinstance(undo, BindVf):
            vf = vfs(undo.pf).get(undo.index)
        else:
            return False
        return vf is not None and is_vfio(vf.driver) and vf.driver not in (did.driver, undo.driver)

    def _touched(self, action: Change, vfs: _Vfs) -> Iterator[PciDevice]:
        if isinstance(action, _UNNOTICED):
            return
        if isinstance(action, RemoveBridge):
            for pf in self._pfs_on(action.name):
                yield from vfs(str(pf)).values()
            return
        address = getattr(action, "pf", getattr(action, "address", None))
        index = getattr(action, "index", None)
        if address is None:
            return
        there = vfs(address)
        if index is None:
            device = self._present(address)
            yield from [] if device is None else [device]
            yield from there.values()
        elif index in there:
            yield there[index]

    def _pfs_on(self, bridge: str) -> set[PciAddress]:
        ports: Sequence[str] = ()
        with suppress(HostFault):  # a switch that gives no answer does not remove it either
            ports = read_bridges(self._root).get(bridge, ())
        return {
            each.function
            for each in read_netdevs(self._root)
            if each.function is not None and each.name in ports
        }

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

    def _vfs_left(self, pf: str) -> dict[int, PciDevice]:
        """Return the VFs of *pf*: none of a card that is gone."""
        try:
            return self._vfs(pf)
        except NotFound:
            return {}


def cut_off_text(held: Sequence[str]) -> str:
    """Say why nothing is taken back while guests hold *held*."""
    return f"this would cut off {', '.join(held)}"


def require_none_cut_off(guard: Guard, changes: Iterable[Undoable]) -> None:
    """Refuse to take back *changes* that would cut off a guest. Raises Conflict, HostFault."""
    if held := guard.cut_off([each for change in changes for each in change.undone()]):
        raise Conflict(f"nothing was taken back: {cut_off_text(held)}", hint=CUT_OFF_FIX)


CUT_OFF_FIX = "stop that guest, or migrate it away, then roll back again"
_HINT = "stop the guest that has it, then try again"

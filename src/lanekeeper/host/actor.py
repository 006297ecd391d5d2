"""Carries out one action of a plan on a host. Each can be done twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.hostplan.action import (
    AddBridge,
    AddPort,
    BindDevice,
    BindVf,
    Change,
    FileChange,
    GiveBackArguments,
    LoadModule,
    MovePort,
    RemoveBridge,
    RemovePort,
    RestartVfDriver,
    RunProgram,
    SaveEntry,
    SetAutoprobe,
    SetEswitchMode,
    SetFirmware,
    SetHugePages,
    SetLink,
    SetMigratable,
    SetSwitch,
    SetVfCount,
    UpdateBootLoader,
    WriteVfSettings,
)
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.host.attribute import refusals
from lanekeeper.host.boot import grubby
from lanekeeper.host.boot.grub import read_environment
from lanekeeper.host.card import Cards
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.machine import Machine
from lanekeeper.host.program import Run
from lanekeeper.host.run import Terms, run
from lanekeeper.host.switch import Switch

_SAID_MAX = 500
_OUTPUT_BYTES = 64 * 1024
_SECONDS = 300.0
_SECONDS_OF = {
    **dict.fromkeys(("update-initramfs", "dracut"), 3600.0),  # one for each kernel, all of them
    **dict.fromkeys(("update-grub", "grub-mkconfig", "grub2-mkconfig"), 1200.0),  # os-prober
}
"""How long a program may take; those that look at every disk or pack every kernel's take longer."""


def limit_s(program: str) -> float:
    """Return how long *program* may take, wherever it lies."""
    return _SECONDS_OF.get(program.rpartition("/")[2], _SECONDS)


def run_program(arguments: Sequence[str], timeout_s: float | None = None) -> None:
    """Run a program of this machine, found on PATH; its last words go into the HostFault.

    When its time (``limit_s``) is over, or it fails, nothing of it runs any more.
    """
    called = " ".join(arguments)
    seconds = limit_s(arguments[0]) if timeout_s is None else timeout_s
    try:
        terms = Terms(timeout_s=seconds, output_bytes=_OUTPUT_BYTES, is_cut=True)
        done = run(arguments, called, terms)
    except FileNotFoundError as error:
        raise HostFault(f"cannot run {called}: {arguments[0]} is not installed") from error
    except OSError as error:
        raise HostFault(f"cannot run {called}: {error.strerror or error}") from error
    if done.code:
        said = (done.errors or done.output).decode("utf-8", "replace").strip()[-_SAID_MAX:]
        raise HostFault(f"{called} ended with {done.code}: {said}")


class Actor:
    """Does actions below *root*, on *machine*, with programs run by *run*."""

    def __init__(self, root: Path, machine: Machine, run: Run = run_program) -> None:
        self._root = root
        self._files = FileActor(root)
        self._machine = machine
        self._run = run
        self._cards = Cards(root, run)
        self._switch = Switch(root, machine, run)

    def do(self, action: Change) -> None:
        """Carry out *action*; when it is done already, nothing happens.

        Raises:
            Error: the kernel, a file system or a program refused; the action may be half done.
        """
        match action:
            case LoadModule():
                self._load_module(action.name)
            case SetAutoprobe():
                self._machine.set_autoprobe(PciAddress.parse(action.pf), action.enabled)
            case SetVfCount():
                self._machine.create_vfs(PciAddress.parse(action.pf), action.count)
            case SetLink():
                self._machine.set_link(PciAddress.parse(action.pf), action.up)
            case BindVf() | RestartVfDriver() | BindDevice():
                self._bind(action)
            case WriteVfSettings():
                self._write_settings(action)
            case SetEswitchMode() | SetFirmware() | SetMigratable():
                self._cards.do(action)
            case SetHugePages():
                self._machine.keep_huge_pages(action.node, action.size_kib, action.pages)
            case SetSwitch() | AddBridge() | RemoveBridge() | AddPort() | RemovePort() | MovePort():
                self._switch.do(action)
            case GiveBackArguments():
                grubby.give_back(self._root, action, self._run, self._files.do)
            case UpdateBootLoader() | RunProgram() | SaveEntry():
                self._run_program(action)
            case _:
                with refusals(str(action)):
                    self._files.do(action)

    def undo(self, action: Change) -> None:
        """Carry out *action*, which takes something back, where that is still there.

        Raises:
            Error: as ``do``; Conflict too, where others wrote over what was written.
        """
        if isinstance(action, FileChange):
            with refusals(str(action)):
                self._files.undo(action)
        else:
            self.do(action)

    def keep_edit(self, path: str, known: Collection[str]) -> str | None:
        """Copy an edited file beside itself, as ``Doer`` says. Raises HostFault."""
        with refusals(f"keep a copy of /{path}, which was edited"):
            return self._files.keep_edit(path, known)

    def _run_program(self, action: UpdateBootLoader | RunProgram | SaveEntry) -> None:
        if isinstance(action, RunProgram):
            with refusals(f"keep what {action.command[0]} changes"):
                self._files.keep(*action.changes)
        if isinstance(action, SaveEntry):
            saved = read_environment(self._root).get("saved_entry", "")
            if saved != action.instead_of:
                return
        self._run(action.command)

    def _load_module(self, name: str) -> None:
        if not (self._root / "sys/module" / name.replace("-", "_")).exists():
            self._run(["modprobe", name])

    def _bind(self, action: BindVf | RestartVfDriver | BindDevice) -> None:
        if isinstance(action, BindDevice):
            self._machine.bind(PciAddress.parse(action.address), action.driver)
            return
        if isinstance(action, RestartVfDriver):
            self._restart_driver(action)
            return
        address = self._machine.vf_addresses(PciAddress.parse(action.pf)).get(action.index)
        if address is not None:
            self._machine.bind(address, action.driver)
        elif action.driver is not None:
            raise NotFound(f"{action.pf} has no VF {action.index}")

    def _restart_driver(self, action: RestartVfDriver) -> None:
        address = self._machine.vf_addresses(PciAddress.parse(action.pf))[action.index]
        driver = self._machine.device(address).driver
        if driver is not None and not is_vfio(driver):
            self._machine.bind(address, None)
            self._machine.bind(address, driver)

    def _write_settings(self, action: WriteVfSettings) -> None:
        change = VfChange(
            mac=action.mac,
            vlan=action.vlan,
            qos=action.qos,
            spoofchk=action.spoofchk,
            trust=action.trust,
            link_state=action.link_state,
            rates=action.rates,
        )
        pf = PciAddress.parse(action.pf)
        unknown = self._machine.write_vf_settings(pf, action.index, change)
        if unknown:
            raise HostFault(f"the driver of {pf} knows no {' or '.join(unknown)} of VFs")

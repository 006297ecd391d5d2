"""What is told to Open vSwitch, by ovs-vsctl. Each command can be given twice."""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.hostplan.action import (
    AddBridge,
    AddPort,
    MovePort,
    RemoveBridge,
    RemovePort,
    SetSwitch,
)
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.interfaces import read_representors
from lanekeeper.host.machine import Machine
from lanekeeper.host.program import Run

Telling = SetSwitch | AddBridge | RemoveBridge | AddPort | RemovePort | MovePort
"""What it is told."""

_CALL = ("ovs-vsctl", "--timeout=20")


class Switch:
    """The Open vSwitch of the host below *root*, reached by programs that *run* runs."""

    def __init__(self, root: Path, machine: Machine, run: Run) -> None:
        self._root = root
        self._machine = machine
        self._run = run

    def do(self, action: Telling) -> None:
        """Carry out *action*. Raises NotFound, HostFault."""
        match action:
            case SetSwitch(key=key, value=None):
                self._run([*_CALL, "remove", "Open_vSwitch", ".", "other_config", key])
            case SetSwitch(key=key, value=value):
                self._run([*_CALL, "set", "Open_vSwitch", ".", f"other_config:{key}={value}"])
            case AddBridge(name=name):
                self._run([*_CALL, "--may-exist", "add-br", name])
            case RemoveBridge(name=name):
                self._run([*_CALL, "--if-exists", "del-br", name])
            case AddPort():
                port = self._interface(action)
                if port is None:
                    whose = "it" if action.index is None else f"its VF {action.index}"
                    raise NotFound(f"{action.pf} shows no interface that stands for {whose}")
                # A VF that was away left its representor's record on the bridge of that time.
                drop = [] if action.index is None else ["--if-exists", "del-port", port, "--"]
                self._run([*_CALL, *drop, "--may-exist", "add-port", action.bridge, port])
            case RemovePort():
                port = self._interface(action)
                if port is not None:
                    self._run([*_CALL, "--if-exists", "del-port", action.bridge, port])
            case MovePort(target=target, port=port):
                # One transaction, so that it is never on no bridge, and right when done twice.
                add = ("--", "--may-exist", "add-port", target, port)
                self._run([*_CALL, "--if-exists", "del-port", port, *add])

    def _interface(self, action: AddPort | RemovePort) -> str | None:
        pf = PciAddress.parse(action.pf)
        if action.index is None:
            return self._machine.device(pf).netdev
        return read_representors(self._root).get((pf, action.index))

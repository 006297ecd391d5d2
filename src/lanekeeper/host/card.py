"""What is told to cards by programs: the eswitch, the firmware, and which VFs may travel.

The programs are those of the guides, so that what is done here can be done by hand.
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.hostplan.action import SetEswitchMode, SetFirmware, SetMigratable
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.offload import port_name
from lanekeeper.host.program import Run


class Cards:
    """The cards of the host below *root*, reached by programs that *run* runs."""

    def __init__(self, root: Path, run: Run) -> None:
        self._root = root
        self._run = run

    def do(self, action: SetEswitchMode | SetFirmware | SetMigratable) -> None:
        """Carry out *action*. Raises NotFound, HostFault."""
        card = f"pci/{action.pf}"
        match action:
            case SetEswitchMode():
                self._run(["devlink", "dev", "eswitch", "set", card, "mode", action.mode])
            case SetFirmware():
                value = f"{action.name}={action.value}"
                self._run(["mstconfig", "-y", "-d", action.pf, "set", value])
            case SetMigratable():
                port = self._port(action)
                word = "enable" if action.enabled else "disable"
                self._run(["devlink", "port", "function", "set", port, "migratable", word])

    def _port(self, action: SetMigratable) -> str:
        port = port_name(self._root, PciAddress.parse(action.pf), action.index)
        if port is None:
            hint = "the eswitch has to be in switchdev mode"
            raise NotFound(f"devlink shows no port for VF {action.index} of {action.pf}", hint=hint)
        return port

"""The eswitch of a simulated card, and what devlink and mstconfig say of it.

What programs say of a machine that is a directory stands below ``captured``; here that is kept up
to date. Real cards were never driven by this code; it holds what their documentation says.

Source: Linux ``Documentation/networking/devlink/devlink-port.rst``; mstflint's mstconfig(1).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import read_text
from lanekeeper.host.program import DIRECTORY
from lanekeeper.host.vf_settings import SIMULATED

_MODE = re.compile(r'"mode":"(\w+)"')
_UPLINK = re.compile(r"np\d+$")
_MIGRATION = re.compile(r"(VF_MIGRATION_MODE\s+)(\S+)")
_MIGRATION_MODES = {"0": "DEVICE_DEFAULT(0)", "1": "MIGRATION_DISABLED(1)"}
_ENABLED = "MIGRATION_ENABLED(2)"


class SimulatedEswitch:
    """The eswitches of all cards of the machine in *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._said = root / DIRECTORY
        self._ports_file = self._said / "devlink-port"

    def set_mode(self, pf: str, mode: str) -> None:
        """Do ``devlink dev eswitch set``; cards refuse while they have VFs. Raises HostFault."""
        path = self._said / f"devlink-eswitch-{pf}"
        if not path.is_file():
            raise HostFault(f"devlink answers: {pf}: Operation not supported")
        if (read_text(str(self._home(pf) / "sriov_numvfs")) or "0") != "0":
            raise HostFault(f"devlink answers: {pf}: Device or resource busy")
        path.write_text(_MODE.sub(f'"mode":"{mode}"', path.read_text()))

    def set_migratable(self, port: str, word: str) -> None:
        """Do ``devlink port function set``. Raises HostFault: the port does not offer it."""
        ports = self._ports()
        function = ports.get(port, {}).get("function", {})
        if "migratable" not in function:
            raise HostFault(f"devlink answers: {port}: Operation not supported")
        function["migratable"] = word
        self._write_ports(ports)

    def set_firmware(self, pf: str, value: str) -> None:
        """Do ``mstconfig set VF_MIGRATION_MODE``, active after a reboot. Raises HostFault."""
        path = self._said / f"mstconfig-{pf}"
        now = _MIGRATION.search(path.read_text()) if path.is_file() else None
        if now is None:
            raise HostFault(f"mstconfig answers: {pf}: unknown parameter VF_MIGRATION_MODE")
        wanted = _MIGRATION_MODES.get(value, _ENABLED)
        path.write_text(_MIGRATION.sub(rf"\g<1>{wanted}", path.read_text()))
        active = self._active(pf)
        active.parent.mkdir(exist_ok=True)
        if not active.exists():
            active.write_text(now[2])
        elif active.read_text() == wanted:
            active.unlink()

    def add_vf(self, pf: Path, index: int) -> None:
        """Give a new VF a port and a representor, in switchdev mode."""
        mode = _MODE.search(read_text(str(self._said / f"devlink-eswitch-{pf.name}")) or "")
        if mode is None or mode[1] != "switchdev":
            return
        setting = _MIGRATION.search(read_text(str(self._said / f"mstconfig-{pf.name}")) or "")
        can_move = setting is not None and setting[2] == _ENABLED
        offered = can_move and not self._active(pf.name).exists()
        function = {"migratable": "disable"} if offered else {}
        port = {"flavour": "pcivf", "pfnum": 0, "vfnum": index, "function": function}
        self._write_ports({**self._ports(), f"pci/{pf.name}/{index + 1}": port})
        name = self._representor(pf, index)
        home = pf / "net" / name
        home.mkdir(exist_ok=True)
        taken = (self._root / "sys/class/net").glob("*/ifindex")
        numbers = [int(path.read_text()) for path in taken]
        values = {"ifindex": max(numbers, default=0) + 1, "flags": "0x1002"}
        for attribute, value in {**values, "phys_port_name": f"pf0vf{index}"}.items():
            (home / attribute).write_text(f"{value}\n")
        link = self._root / "sys/class/net" / name
        link.unlink(missing_ok=True)
        target = home.resolve().relative_to(self._root.resolve() / "sys")
        link.symlink_to(f"../../{target}")

    def remove_vf(self, pf: Path, index: int) -> None:
        """Take port and representor of a VF away."""
        ports = self._ports()
        kept = {
            name: facts
            for name, facts in ports.items()
            if not (name.startswith(f"pci/{pf.name}/") and facts.get("vfnum") == index)
        }
        if kept != ports:
            self._write_ports(kept)
        name = self._representor(pf, index)
        if (pf / "net" / name).is_dir():
            shutil.rmtree(pf / "net" / name)
            (self._root / "sys/class/net" / name).unlink(missing_ok=True)

    def _representor(self, pf: Path, index: int) -> str:
        names = sorted(path.name for path in (pf / "net").glob("*")) or [pf.name]
        return f"{_UPLINK.sub('', names[0])}npf0vf{index}"

    def _ports(self) -> dict[str, Any]:
        text = read_text(str(self._ports_file))
        return typed.decode(text, dict[str, dict[str, Any]])["port"] if text else {}

    def _write_ports(self, ports: dict[str, Any]) -> None:
        if ports:
            self._said.mkdir(exist_ok=True)
            self._ports_file.write_bytes(msgspec.json.encode({"port": ports}) + b"\n")
        else:
            self._ports_file.unlink(missing_ok=True)

    def _active(self, pf: str) -> Path:
        """What the card was started with, while that is another value than was written since."""
        return self._root / SIMULATED / f"firmware-{pf}"

    def _home(self, pf: str) -> Path:
        return self._root / "sys/bus/pci/devices" / pf

"""Open vSwitch of a simulated machine: what it was told stands where it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import read_text
from lanekeeper.host.program import DIRECTORY

_SETTING = re.compile(r'([\w-]+)="?([^",}]*)"?')
_LINE = re.compile(r'^\s*(Bridge|Port) "?([^"\s]+)"?$', re.MULTILINE)


class SimulatedSwitch:
    """Takes the commands of ovs-vsctl that ``host.switch`` gives."""

    def __init__(self, root: Path) -> None:
        self._settings_file = root / DIRECTORY / "ovs-other-config"
        self._bridges_file = root / DIRECTORY / "ovs-show"

    def run(self, arguments: Sequence[str]) -> None:
        """Do ``ovs-vsctl`` with *arguments*. Raises HostFault: it does not run, or knows it not."""
        if not self._settings_file.is_file():
            raise HostFault("ovs-vsctl: unix:/run/openvswitch/db.sock: database connection failed")
        match [word for word in arguments if not word.startswith("--")]:
            case ["set", "Open_vSwitch", ".", setting]:
                key, _, value = setting.removeprefix("other_config:").partition("=")
                self._write_settings({**self._settings(), key: value})
            case ["remove", "Open_vSwitch", ".", "other_config", key]:
                kept = {k: v for k, v in self._settings().items() if k != key}
                self._write_settings(kept)
            case ["add-br", name]:
                self._write_bridges({name: [name], **self._bridges()})
            case ["del-br", name]:
                kept_bridges = {k: v for k, v in self._bridges().items() if k != name}
                self._write_bridges(kept_bridges)
            case ["add-port", bridge, port]:
                bridges = self._bridges()
                if port not in bridges[bridge]:
                    bridges[bridge].append(port)
                self._write_bridges(bridges)
            case ["del-port", bridge, port]:
                bridges = self._bridges()
                bridges[bridge] = [each for each in bridges.get(bridge, []) if each != port]
                self._write_bridges(bridges)
            case _:
                raise HostFault(f"a simulated ovs-vsctl does not know {' '.join(arguments)}")

    def _settings(self) -> dict[str, str]:
        return dict(_SETTING.findall(self._settings_file.read_text()))

    def _write_settings(self, settings: dict[str, str]) -> None:
        told = ", ".join(f'{key}="{value}"' for key, value in sorted(settings.items()))
        self._settings_file.write_text(f"{{{told}}}\n")

    def _bridges(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        bridge = ""
        for kind, name in _LINE.findall(read_text(str(self._bridges_file)) or ""):
            if kind == "Bridge":
                bridge, found[name] = name, []
            else:
                found[bridge].append(name)
        return found

    def _write_bridges(self, bridges: dict[str, list[str]]) -> None:
        lines = []
        for bridge, ports in sorted(bridges.items()):
            lines += [f"    Bridge {bridge}", *(f"        Port {port}" for port in ports)]
        if lines:
            self._bridges_file.write_text("\n".join(lines) + "\n")
        else:
            self._bridges_file.unlink(missing_ok=True)

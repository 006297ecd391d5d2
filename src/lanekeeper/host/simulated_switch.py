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


def _commands(arguments: Sequence[str]) -> list[list[str]]:
    """Part the commands of one call at ``--``; options are left out."""
    commands: list[list[str]] = [[]]
    for word in arguments:
        if word == "--":
            commands.append([])
        elif not word.startswith("--"):
            commands[-1].append(word)
    return commands


class SimulatedSwitch:
    """Takes the commands of ovs-vsctl that ``host.switch`` gives, and refuses what that refuses.

    Source: Open vSwitch ``utilities/ovs-vsctl.c``, cmd_add_port, cmd_del_port.
    """

    def __init__(self, root: Path) -> None:
        self._settings_file = root / DIRECTORY / "ovs-other-config"
        self._bridges_file = root / DIRECTORY / "ovs-show"

    @property
    def is_there(self) -> bool:
        """Whether the machine was captured with one."""
        return self._bridges_file.exists() or self._settings_file.exists()

    def run(self, arguments: Sequence[str]) -> None:
        """Do ``ovs-vsctl`` with *arguments*. Raises HostFault: it does not run, or knows it not."""
        if not self._settings_file.is_file():
            raise HostFault("ovs-vsctl: unix:/run/openvswitch/db.sock: database connection failed")
        before = self._bridges()
        try:
            for command in _commands(arguments):
                self._do(command)
        except HostFault:
            self._write_bridges(before)  # all commands of a call are one transaction
            raise

    def _do(self, command: list[str]) -> None:
        match command:
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
                self._add_port(bridge, port)
            case ["del-port", port]:
                self._remove_port(self._bridge_of(port), port)
            case ["del-port", bridge, port]:
                now = self._bridge_of(port)
                if now not in (None, bridge):
                    raise HostFault(f"ovs-vsctl: bridge {bridge} does not have a port {port}")
                self._remove_port(now, port)
            case _:
                raise HostFault(f"a simulated ovs-vsctl does not know {' '.join(command)}")

    def _add_port(self, bridge: str, port: str) -> None:
        bridges, now = self._bridges(), self._bridge_of(port)
        if bridge not in bridges:
            raise HostFault(f"ovs-vsctl: no bridge named {bridge}")
        if now not in (None, bridge):
            told = f'"--may-exist add-port {bridge} {port}" but {port} is actually attached to'
            raise HostFault(f"ovs-vsctl: {told} bridge {now}")
        if now is None:
            self._write_bridges({**bridges, bridge: [*bridges[bridge], port]})

    def _remove_port(self, bridge: str | None, port: str) -> None:
        if bridge is not None:
            bridges = self._bridges()
            bridges[bridge].remove(port)
            self._write_bridges(bridges)

    def _bridge_of(self, port: str) -> str | None:
        return next((name for name, ports in self._bridges().items() if port in ports), None)

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

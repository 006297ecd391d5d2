"""What cards with an eswitch and Open vSwitch say, as devlink, mstconfig and ovs-vsctl tell it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.domain.hostplan.offload import (
    OVS_SETTINGS,
    Offload,
    Ovs,
    eswitch_question,
    settings_question,
)
from lanekeeper.domain.hostplan.survey import version_numbers
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.host import altname
from lanekeeper.host.fault import Faults
from lanekeeper.host.ovs import BRIDGES, SHOW, may_ask_ovs, parse_bridges
from lanekeeper.host.program import DIRECTORY, answer

Questions = Mapping[str, tuple[tuple[str, ...], ...]]
"""What only programs answer: for each question the commands that may, the first that is there."""

_OVS_SETTING = re.compile(r'([\w-]+)="?([^",}]*)"?')
_MIGRATION_MODE = re.compile(r"VF_MIGRATION_MODE\s+(\S+)")
_ESWITCH_DRIVERS = frozenset(("mlx5_core", "ice", "bnxt_en", "nfp", "sfc_ef100", "mlxsw_spectrum"))
_CONNECTX_7 = (0x15B3, 0x1021)
_INFO, _PORTS = "devlink-info", "devlink-port"
_PROGRAMS: Questions = {
    "qemu": (
        ("qemu-system-x86_64", "--version"),
        ("/usr/libexec/qemu-kvm", "--version"),
        ("qemu-system-aarch64", "--version"),
    ),
    "libvirt": (("virtqemud", "--version"), ("libvirtd", "--version")),
}
_NOTHING: dict[str, Any] = {}
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*")


def questions(pfs: tuple[PciDevice, ...]) -> Questions:
    """Return what to ask on a host with *pfs*; of cards only those that have an eswitch."""
    asked = {**_PROGRAMS, altname.QUESTION: (altname.COMMAND,)}
    switches = [pf for pf in pfs if pf.driver in _ESWITCH_DRIVERS]
    if switches:
        asked[_INFO] = (("devlink", "-j", "dev", "info"),)
        asked[_PORTS] = (("devlink", "-j", "port", "show"),)
        asked[OVS_SETTINGS] = (
            ("ovs-vsctl", "--timeout=5", "get", "Open_vSwitch", ".", "other_config"),
        )
        asked[BRIDGES] = (SHOW,)
    for pf in switches:
        card = f"pci/{pf.address}"
        asked[eswitch_question(pf.address)] = (("devlink", "-j", "dev", "eswitch", "show", card),)
        if (pf.vendor_id, pf.product_id) == _CONNECTX_7:
            asked[settings_question(pf.address)] = (("mstconfig", "-d", str(pf.address), "query"),)
    return asked


def read_offload(root: Path, pfs: tuple[PciDevice, ...], faults: Faults) -> Offload:
    """Ask about *pfs*; programs are run only where a card has an eswitch."""
    asked = questions(pfs)

    def said(question: str) -> str | None:
        if question not in asked:
            return None
        return faults.part(question, partial(answer, root, question, *asked[question]), None)

    def told(question: str) -> dict[str, Any]:
        return faults.part(question, partial(_json, said(question), question), _NOTHING)

    modes = {pf.address: _mode(told(eswitch_question(pf.address)), pf) for pf in pfs}
    settings = {
        pf.address: _MIGRATION_MODE.search(said(settings_question(pf.address)) or "") for pf in pfs
    }
    switch = said(OVS_SETTINGS) if may_ask_ovs(root) else None
    ovs = None
    if switch is not None:
        bridges = parse_bridges(said(BRIDGES) or "")
        ports = {bridge.name: bridge.ports for bridge in bridges}
        ovs = Ovs(settings=dict(_OVS_SETTING.findall(switch)), bridges=ports)
    return Offload(
        modes={address: mode for address, mode in modes.items() if mode},
        firmware=dict(_firmware(told(_INFO))),
        migratable=dict(_migratable(told(_PORTS))),
        migration_modes={address: found[1] for address, found in settings.items() if found},
        ovs=ovs,
        unanswered={} if root.resolve() == Path("/") else _unanswered(root, asked),
    )


def _unanswered(root: Path, asked: Questions) -> dict[str, str]:
    """Return what a captured machine has no answer to, with the command to ask first."""
    return {
        question: shlex.join(commands[0])
        for question, commands in asked.items()
        if not (root / DIRECTORY / question).exists()
    }


def port_name(root: Path, pf: PciAddress, index: int) -> str | None:
    """Return devlink's name for the port of VF *index*, as ``pci/0000:e1:00.0/1``.

    The number in it is not the VF's: cards number uplinks, VFs and subfunctions together.

    Raises:
        HostFault: devlink failed, or said what makes no sense.
    """
    shown = _json(answer(root, _PORTS, ("devlink", "-j", "port", "show")), _PORTS)
    for name, facts in shown.get("port", {}).items():
        if _address(name) == pf and facts.get("vfnum") == index:
            return str(name)
    return None


def read_versions(root: Path, faults: Faults) -> dict[str, tuple[int, ...]]:
    """Ask QEMU and libvirt for their versions; what is not installed is left out."""
    found = {}
    for name, commands in _PROGRAMS.items():
        text = faults.part(name, partial(answer, root, name, *commands), None) or ""
        if version := _VERSION.search(text):
            found[name] = version_numbers(version[0])
    return found


def _mode(shown: dict[str, Any], pf: PciDevice) -> str | None:
    mode = shown.get("dev", {}).get(f"pci/{pf.address}", {}).get("mode")
    return mode if isinstance(mode, str) else None


def _json(text: str | None, what: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return typed.decode(text, dict[str, dict[str, dict[str, Any]]])
    except msgspec.DecodeError as error:
        raise HostFault(f"{what} said what is no JSON of devlink: {error}") from error


def _firmware(info: dict[str, Any]) -> Iterator[tuple[PciAddress, str]]:
    for name, facts in info.get("info", {}).items():
        versions = facts.get("versions")
        running = versions.get("running") if isinstance(versions, dict) else None
        version = running.get("fw.version") or running.get("fw") if isinstance(running, dict) else 0
        address = _address(name)
        if address and version:
            yield address, str(version)


def _migratable(ports: dict[str, Any]) -> Iterator[tuple[tuple[PciAddress, int], bool]]:
    for name, facts in ports.get("port", {}).items():
        function, index, address = facts.get("function"), facts.get("vfnum"), _address(name)
        if address and isinstance(index, int) and isinstance(function, dict):
            setting = function.get("migratable")
            if setting in ("enable", "disable"):
                yield (address, index), setting == "enable"


def _address(name: str) -> PciAddress | None:
    """Read ``pci/0000:e1:00.0`` or the name of a port of it; None for other buses."""
    parts = name.split("/")
    try:
        return PciAddress.parse(parts[1]) if parts[0] == "pci" and len(parts) > 1 else None
    except Invalid:
        return None

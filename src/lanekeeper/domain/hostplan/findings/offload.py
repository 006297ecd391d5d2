"""Cards with an eswitch, the virtual switch above them, and VFs that guests take along."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.findings.sriov import named
from lanekeeper.domain.hostplan.survey import Survey, version_numbers
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice

LEGACY = Kind(
    "eswitch-legacy",
    Severity.INFO,
    "A card that could be a switch for its VFs (switchdev) is in legacy mode.",
    "VFs have MAC, VLAN and trust settings only; Open vSwitch cannot offload their flows, and "
    "ConnectX VFs cannot be migrated.",
)
NO_REPRESENTORS = Kind(
    "representors-missing",
    Severity.WARNING,
    "A card is in switchdev mode, and VFs of it have no representor.",
    "Without its representor in the bridge a VF sends and receives nothing.",
    "load the card's driver anew; see the kernel log",
)
OFFLOAD_OFF = Kind(
    "ovs-offload-off",
    Severity.WARNING,
    "A card is in switchdev mode, and Open vSwitch does not offload to it.",
    "Every packet between VFs goes through the host's CPU.",
    "ovs-vsctl set Open_vSwitch . other_config:hw-offload=true, then restart openvswitch",
)
MAX_IDLE = Kind(
    "ovs-max-idle-low",
    Severity.WARNING,
    "Open vSwitch forgets idle flows sooner than a migration with VFs takes.",
    "Connections of a guest break while it is migrated.",
    "ovs-vsctl set Open_vSwitch . other_config:max-idle=300000",
)
OLD_FIRMWARE = Kind(
    "connectx-firmware-old",
    Severity.WARNING,
    "A ConnectX-7 has firmware older than 28.36.1010.",
    "Its VFs cannot be migrated.",
    "renew the firmware (mstflint -d ADDRESS -i IMAGE burn)",
)
MIGRATION_MODE = Kind(
    "vf-migration-mode-off",
    Severity.WARNING,
    "VF_MIGRATION_MODE of a ConnectX-7 is not MIGRATION_ENABLED.",
    "Its VFs cannot be migrated, and `migratable enable` is refused.",
)
NOT_MIGRATABLE = Kind(
    "vf-not-migratable",
    Severity.INFO,
    "VFs of a card in switchdev mode are not set migratable.",
    "A guest with such a VF stays on its host.",
)

_MELLANOX, _CONNECTX_7 = 0x15B3, 0x1021
_FIRMWARE_MIN = (28, 36, 1010)  # RHEL 9, Configuring and managing virtualization, 12.6
_MAX_IDLE_MS = 300_000  # likewise; Open vSwitch's own default is 10,000 (ovs-vswitchd.conf.db(5))
_MAX_IDLE_DEFAULT_MS = 10_000
_VF_PORT = re.compile(r"(?:c\d+)?pf\d+vf\d+")
_ENABLED = "MIGRATION_ENABLED"


def _switches(survey: Survey) -> Iterator[PciDevice]:
    """Yield the PFs that are in switchdev mode."""
    for pf in survey.host.pfs:
        if survey.offload.modes.get(pf.address) == "switchdev":
            yield pf


def _modes(survey: Survey) -> Iterator[Finding]:
    for pf in survey.host.pfs:
        if survey.offload.modes.get(pf.address) == "legacy" and pf.vendor_id == _MELLANOX:
            yield LEGACY.found(
                named(pf),
                "its eswitch is in legacy mode",
                f"devlink dev eswitch show pci/{pf.address} says mode legacy",
                f"devlink dev eswitch set pci/{pf.address} mode switchdev, before VFs are made",
            )
    for pf in _switches(survey):
        ports = [n for n in survey.netdevs if _is_representor_of(pf.address, n.function, n.port)]
        if len(ports) < pf.num_vfs:
            yield NO_REPRESENTORS.found(
                named(pf),
                f"{len(ports)} representors for {pf.num_vfs} VFs",
                f"interfaces below /sys/bus/pci/devices/{pf.address}/net with a phys_port_name as "
                f"pf0vf0: {', '.join(port.name for port in ports) or 'none'}",
            )


def _is_representor_of(pf: PciAddress, function: PciAddress | None, port: str) -> bool:
    return function == pf and _VF_PORT.fullmatch(port) is not None


def _ovs(survey: Survey) -> Iterator[Finding]:
    ovs = survey.offload.ovs
    if ovs is None or not any(_switches(survey)):
        return
    offload = ovs.settings.get("hw-offload")
    if offload != "true":
        yield OFFLOAD_OFF.found(
            "Open vSwitch",
            "it does not offload flows to the card",
            f"other_config of Open_vSwitch has hw-offload={offload or '(unset)'}",
        )
    idle = ovs.settings.get("max-idle")
    if not idle or not idle.isdecimal() or int(idle) < _MAX_IDLE_MS:
        said = idle or f"(unset, which is {_MAX_IDLE_DEFAULT_MS})"
        yield MAX_IDLE.found(
            "Open vSwitch",
            "it forgets idle flows during a migration",
            f"other_config of Open_vSwitch has max-idle={said}",
        )


def _connectx(survey: Survey) -> Iterator[Finding]:
    for pf in survey.host.pfs:
        if (pf.vendor_id, pf.product_id) != (_MELLANOX, _CONNECTX_7):
            continue
        firmware = survey.offload.firmware.get(pf.address)
        if firmware and version_numbers(firmware) < _FIRMWARE_MIN:
            yield OLD_FIRMWARE.found(
                named(pf),
                f"firmware {firmware} is older than 28.36.1010",
                f"devlink dev info pci/{pf.address} says fw.version {firmware}",
            )
        mode = survey.offload.migration_modes.get(pf.address)
        if mode is not None and _ENABLED not in mode:
            yield MIGRATION_MODE.found(
                named(pf),
                f"VF_MIGRATION_MODE is {mode}",
                f"mstconfig -d {pf.address} query says VF_MIGRATION_MODE {mode}",
                f"mstconfig -d {pf.address} set VF_MIGRATION_MODE=2, then switch the host off "
                "and on",
            )


def _migratable(survey: Survey) -> Iterator[Finding]:
    for pf in _switches(survey):
        said = survey.offload.migratable
        fixed = sorted(index for (at, index), can in said.items() if at == pf.address and not can)
        if fixed:
            indices = ", ".join(map(str, fixed))
            yield NOT_MIGRATABLE.found(
                named(pf),
                f"VFs {indices} are not migratable",
                f"devlink port show says migratable disable for VFs {indices} of pci/{pf.address}",
                f"devlink port function set pci/{pf.address}/PORT migratable enable, while the VF "
                "has no driver",
            )


RULES: tuple[Rule, ...] = (
    Rule(_modes, (LEGACY, NO_REPRESENTORS)),
    Rule(_ovs, (OFFLOAD_OFF, MAX_IDLE)),
    Rule(_connectx, (OLD_FIRMWARE, MIGRATION_MODE)),
    Rule(_migratable, (NOT_MIGRATABLE,)),
)

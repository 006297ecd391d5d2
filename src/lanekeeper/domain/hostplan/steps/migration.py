"""Steps that make VFs of a ConnectX-7 ready to travel with running guests.

Source: Red Hat Enterprise Linux 9, Configuring and managing virtualization, section 12.6; Linux
``Documentation/networking/devlink/devlink-port.rst``, migratable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import SetFirmware, SetMigratable
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.offload import settings_question
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.step import Impact, Refusal, State, Step
from lanekeeper.domain.hostplan.survey import version_numbers
from lanekeeper.domain.pci.device import PciDevice

SETTING, ENABLED = "VF_MIGRATION_MODE", "2"
_CONNECTX_7 = (0x15B3, 0x1021)
_FIRMWARE_SINCE = (28, 36, 1010)
_VALUE = re.compile(r"\((\d+)\)")


def firmware_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Step]:
    """Write the card's own setting, which a start of the card makes active."""
    now = _value(pf, host)
    if entry.live_migration and now not in (None, ENABLED):
        do, undo = (SetFirmware(str(pf.address), SETTING, value) for value in (ENABLED, str(now)))
        why = "VFs can travel with running guests only in this mode"
        yield Step(do, (undo,), why, Impact.REBOOT)


def migratable_steps(
    entry: PfPolicy, pf: PciDevice, host: HostFacts, *, fresh: bool
) -> Iterator[Step]:
    """Say of each VF that it may travel, before a driver has it."""
    for index in range(entry.vfs if entry.live_migration else 0):
        now = host.offload.migratable.get((pf.address, index))
        if is_ready(entry, pf, host, index, fresh=fresh) and (fresh or not now):
            address = str(pf.address)
            undo = () if fresh else (SetMigratable(address, index, enabled=False),)
            do = SetMigratable(address, index, enabled=True)
            yield Step(do, undo, "live_migration is wanted")


def is_ready(entry: PfPolicy, pf: PciDevice, host: HostFacts, index: int, *, fresh: bool) -> bool:
    """Whether VF *index* can be made to travel now, if that is wanted at all.

    A port of the card offers ``migratable`` once the card was started with the setting above; of
    a new VF only the setting can be asked.
    """
    if not entry.live_migration:
        return True
    if fresh:
        return _value(pf, host) == ENABLED
    return (pf.address, index) in host.offload.migratable


def migration_pending(
    entry: PfPolicy, pf: PciDevice, host: HostFacts, *, fresh: bool
) -> Iterator[str]:
    waiting = [n for n in range(entry.vfs) if not is_ready(entry, pf, host, n, fresh=fresh)]
    if waiting:
        vfs = f"{len(waiting)} VFs of {pf.address}"
        yield f"{SETTING} takes effect after a reboot; then {vfs} become migratable"


def migration_refusals(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[Refusal]:
    if not entry.live_migration:
        return
    subject = f"{entry.path} ({pf.address})"
    if (pf.vendor_id, pf.product_id) != _CONNECTX_7:
        reason = f"{pf.vendor_id:04x}:{pf.product_id:04x} is no ConnectX-7, whose VFs alone can"
        yield Refusal("live-migration-unknown", subject, reason, "drop live_migration")
        return
    if _value(pf, host) is None:
        reason = f"the card's {SETTING} is not known"
        fix = f"install mstflint; `mstconfig -d {pf.address} query` has to show it"
        fix += host.offload.lacking(settings_question(pf.address))
        yield Refusal("live-migration-unknown", subject, reason, fix)
    version = host.offload.firmware.get(pf.address)
    if version is not None and version_numbers(version) < _FIRMWARE_SINCE:
        reason = f"its firmware is {version}, which cannot move VFs"
        fix = f"firmware {'.'.join(map(str, _FIRMWARE_SINCE))} or later"
        yield Refusal("firmware-too-old", subject, reason, fix)


def migration_states(
    entry: PfPolicy, pf: PciDevice, host: HostFacts, *, fresh: bool
) -> Iterator[State]:
    if entry.live_migration:
        now = [host.offload.migratable.get((pf.address, n), False) for n in range(entry.vfs)]
        waits = not all(is_ready(entry, pf, host, n, fresh=fresh) for n in range(entry.vfs))
        yield State(
            subject=str(pf.address),
            setting="migratable VFs",
            capable=str(pf.total_vfs),
            requested=str(entry.vfs),
            active=str(sum(now)),
            after_reboot=str(entry.vfs) if waits else "",
        )


def _value(pf: PciDevice, host: HostFacts) -> str | None:
    """Return the number in what mstconfig shows, ``MIGRATION_ENABLED(2)`` say."""
    found = _VALUE.search(host.offload.migration_modes.get(pf.address, ""))
    return found[1] if found else None

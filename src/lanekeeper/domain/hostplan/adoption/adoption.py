"""The policy that describes a host as it is, and what of it a reboot would take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lanekeeper.domain.hostplan.adoption.argument import adopted_arguments, option_notes
from lanekeeper.domain.hostplan.adoption.count_line import count_notes
from lanekeeper.domain.hostplan.adoption.lost import Lost, huge_pages_of, lost_by_a_reboot
from lanekeeper.domain.hostplan.adoption.max_vfs import max_vfs_notes
from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.adoption.own_file import (
    own_blacklist,
    own_file_notes,
    own_options,
)
from lanekeeper.domain.hostplan.adoption.vf import ranges_of, vf_notes, wish_of
from lanekeeper.domain.hostplan.adoption.whole import given_away, whole_notes
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import MIGRATION_DRIVER, SWITCHDEV
from lanekeeper.domain.hostplan.policy.policy import VERSION
from lanekeeper.domain.hostplan.policy.vf import VfDriver
from lanekeeper.domain.hostplan.steps.boot.separate import has_separate
from lanekeeper.domain.hostplan.survey import Survey
from lanekeeper.domain.pci.device import PciDevice


@dataclass(frozen=True, slots=True)
class Adopted:
    """A host, as a policy.

    Attributes:
        document: the policy as a reader of YAML gives it.
        lost: what a reboot would take away.
        notes: what is to be known of what it says, and of what it leaves out.
    """

    document: dict[str, Any]
    lost: tuple[Lost, ...]
    notes: tuple[Note, ...]


def adopt(survey: Survey) -> Adopted:
    """Describe the host. A plan for this policy on this host changes no device.

    Whom VFs serve no host knows: physical networks and aliases are the operator's to add. What a
    guest has is that guest's.
    """
    host = survey.host
    arguments, notes = adopted_arguments(host)
    document = {
        "version": VERSION,
        "kernel_arguments": list(arguments),
        "huge_pages": list(huge_pages_of(host)),
        "pfs": [_entry(pf, host) for pf in host.pfs if pf.num_vfs],
        "devices": [_device(device) for device in given_away(host)],
        "ovs": dict(_switch(host)),
        "module_options": dict(own_options(host)),
        "blacklist": own_blacklist(host),
        "boot": {"entry": "separate"} if arguments and has_separate(host) else {},
    }
    return Adopted(
        {key: value for key, value in document.items() if value},
        tuple(lost_by_a_reboot(survey)),
        (*notes, *option_notes(survey), *_notes(survey)),
    )


def _notes(survey: Survey) -> Iterator[Note]:
    host = survey.host
    for name, reason in host.device_faults:
        says = f"is set aside, since {reason}: nothing of it is in the policy; mend it, adopt anew"
        yield Note(name, says)
    for name, reason in (*host.node_faults, *survey.faults):
        yield Note(name, f"not in the policy, since it cannot be read: {reason}")
    yield from max_vfs_notes(survey)
    yield from count_notes(host)
    yield from own_file_notes(host)
    for pf in host.pfs:
        yield from vf_notes(pf, host)
    yield from whole_notes(host)


def _entry(pf: PciDevice, host: HostFacts) -> dict[str, Any]:
    interface = host.link_of(pf)
    auto = host.autoprobe.get(pf.address, True)
    common = VfDriver.AUTO if auto else VfDriver.NONE
    entry: dict[str, Any] = {"pf": str(pf.address), "vfs": pf.num_vfs}
    if _migrates(pf, host):
        entry["live_migration"] = True
        common_driver = MIGRATION_DRIVER
    else:
        common_driver = str(common)
        entry["vf_driver"] = common_driver
        if host.offload.modes.get(pf.address) == SWITCHDEV:
            entry["eswitch"] = SWITCHDEV
    if interface is not None and not interface.is_up:
        entry["link"] = "leave"
    bridge = _bridge(pf, host)
    if bridge is not None:
        entry["ovs_bridge"] = bridge
    wishes = [(vf.vf_index or 0, wish_of(vf, host, auto=auto)) for vf in host.vfs_of(pf.address)]
    ranges = list(ranges_of(wishes, common_driver))
    return {**entry, "ranges": ranges} if ranges else entry


def _device(device: PciDevice) -> dict[str, Any]:
    return {"device": str(device.address), "driver": device.driver}


def _migrates(pf: PciDevice, host: HostFacts) -> bool:
    return host.vfs_of(pf.address) != () and all(
        vf.driver == MIGRATION_DRIVER
        and host.offload.migratable.get((pf.address, vf.vf_index or 0), False)
        for vf in host.vfs_of(pf.address)
    )


def _bridge(pf: PciDevice, host: HostFacts) -> str | None:
    """Return the bridge that has the PF and the representors of all its VFs."""
    names = {pf.netdev, *(name for (at, _), name in host.representors.items() if at == pf.address)}
    bridges = host.offload.ovs.bridges.items() if host.offload.ovs else ()
    whole = len(names) == pf.num_vfs + 1
    return next((name for name, ports in bridges if whole and names <= set(ports)), None)


def _switch(host: HostFacts) -> Iterator[tuple[str, Any]]:
    settings = host.offload.ovs.settings if host.offload.ovs else {}
    if settings.get("hw-offload") in ("true", "false"):
        yield "hw_offload", settings["hw-offload"] == "true"
    if settings.get("max-idle", "").isdecimal():
        yield "max_idle_ms", int(settings["max-idle"])

"""What an operator wants of one host's PFs and kernel, as its policy file says it.

A policy is read from a plain mapping; who read the file knows its lines. Each entry of ``pfs``
chooses one PF and says how many VFs it has and whom they serve; each of ``devices`` chooses
functions that are given away whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lanekeeper.domain.hostplan.iommu_argument import switches_off
from lanekeeper.domain.hostplan.policy.device import DevicePolicy, read_device
from lanekeeper.domain.hostplan.policy.guest import guest_uses
from lanekeeper.domain.hostplan.policy.kernel import (
    HugePages,
    ModuleOptions,
    read_arguments,
    read_blacklist,
    read_huge_pages,
    read_module_options,
)
from lanekeeper.domain.hostplan.policy.pf import PfPolicy, read_pf
from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    read_flag,
    read_list,
    read_mapping,
)
from lanekeeper.domain.hostplan.policy.switch import SwitchPolicy, read_switch

VERSION = 1
FIELDS = (
    *("version", "pfs", "devices", "kernel_arguments", "huge_pages", "module_options", "ovs"),
    *("blacklist", "persist", "manage_management", "boot"),
)
_READERS: dict[str, tuple[Callable[[Any, str], Any], Any]] = {
    "kernel_arguments": (read_arguments, []),
    "huge_pages": (read_huge_pages, []),
    "module_options": (read_module_options, {}),
    "blacklist": (read_blacklist, []),
    "ovs": (read_switch, {}),
    "persist": (read_flag, True),
    "manage_management": (read_flag, False),
}
"""How each key of its own is read, and what counts where it is left out."""

_PFS_MAX = 256
_DEVICES_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy.

    Attributes:
        devices: functions that go to guests whole.
        kernel_arguments: what the kernel command line must hold after the next boot.
        blacklist: modules that do not load by themselves at boot.
        persist: whether the policy is restored at each boot.
        manage_management: whether the interface that carries the host's own traffic may change.
        separate_entry: whether only an entry of its own in the boot menu gets the arguments.
        text: the file as it was read; this is what persistence keeps.
        source: how errors call that file; empty for a policy of no file.
    """

    pfs: tuple[PfPolicy, ...] = ()
    devices: tuple[DevicePolicy, ...] = ()
    kernel_arguments: tuple[str, ...] = ()
    huge_pages: tuple[HugePages, ...] = ()
    module_options: tuple[ModuleOptions, ...] = ()
    blacklist: tuple[str, ...] = ()
    ovs: SwitchPolicy = field(default_factory=SwitchPolicy)
    persist: bool = True
    manage_management: bool = False
    separate_entry: bool = False
    text: str = ""
    source: str = ""


def parse_policy(document: object, text: str = "", source: str = "") -> Policy:
    """Read a policy from what a YAML or JSON reader gives.

    Raises:
        PolicyInvalid: with the path of the field, what is wrong and what would be right; of all
            that is wrong.
    """
    with Problems() as problems:
        top = problems.mapping(document, "", FIELDS)
        problems.read(_version, top.get("version"))
        entries = problems.read(read_list, top.get("pfs", []), "pfs", _PFS_MAX)
        devices = problems.read(read_list, top.get("devices", []), "devices", _DEVICES_MAX)
        policy = Policy(
            pfs=problems.each(read_pf, entries or (), "pfs"),
            devices=problems.each(read_device, devices or (), "devices"),
            **{
                name: problems.read(reader, top.get(name, absent), name)
                for name, (reader, absent) in _READERS.items()
            },
            separate_entry=problems.read(_separate_entry, top.get("boot", {})),
            text=text,
            source=source,
        )
    _refuse_without_iommu(policy)
    return policy


def _version(value: object) -> None:
    if value != VERSION or isinstance(value, bool):
        raise PolicyInvalid("version", f"is {value!r}", hint=f"version: {VERSION}")


def _separate_entry(value: object) -> bool:
    entry = read_mapping(value, "boot", ("entry",)).get("entry", "every")
    if entry not in ("every", "separate"):
        hint = "entry: every, or entry: separate"
        raise PolicyInvalid("boot.entry", f"is {entry!r}", hint=hint)
    return bool(entry == "separate")


def _refuse_without_iommu(policy: Policy) -> None:
    """Refuse to switch off what everything needs that is for guests."""
    use = next(guest_uses(policy.pfs, policy.devices), None)
    with Problems() as problems:
        for at, argument in enumerate(policy.kernel_arguments):
            if use is not None and switches_off(argument):
                where, what = use
                problems.note(
                    PolicyInvalid(
                        f"kernel_arguments[{at}]",
                        f"{argument} stands beside {where}, {what}: "
                        "without an IOMMU no guest can have a device",
                        hint=f"drop {argument}; intel_iommu=on and iommu=pt switch it on",
                        beside=where,
                    )
                )

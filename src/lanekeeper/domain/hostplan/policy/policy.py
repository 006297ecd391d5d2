"""What an operator wants of one host's PFs and kernel, as its policy file says it.

A policy is read from a plain mapping; who read the file knows its lines. Each entry of ``pfs``
chooses one PF and says how many VFs it has and whom they serve; each of ``devices`` chooses
functions that are given away whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lanekeeper.domain.hostplan.policy.device import DevicePolicy, read_device
from lanekeeper.domain.hostplan.policy.kernel import (
    HugePages,
    ModuleOptions,
    read_arguments,
    read_blacklist,
    read_huge_pages,
    read_module_options,
)
from lanekeeper.domain.hostplan.policy.pf import PfPolicy, read_pf
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


def parse_policy(document: object, text: str = "") -> Policy:
    """Read a policy from what a YAML or JSON reader gives.

    Raises:
        PolicyInvalid: with the path of the field, what is wrong and what would be right.
    """
    top = read_mapping(document, "", FIELDS)
    if top.get("version") != VERSION or isinstance(top.get("version"), bool):
        raise PolicyInvalid("version", f"is {top.get('version')!r}", hint=f"version: {VERSION}")
    entries = read_list(top.get("pfs", []), "pfs", _PFS_MAX)
    devices = read_list(top.get("devices", []), "devices", _DEVICES_MAX)
    return Policy(
        pfs=tuple(read_pf(entry, f"pfs[{at}]") for at, entry in enumerate(entries)),
        devices=tuple(read_device(one, f"devices[{at}]") for at, one in enumerate(devices)),
        kernel_arguments=read_arguments(top.get("kernel_arguments", []), "kernel_arguments"),
        huge_pages=read_huge_pages(top.get("huge_pages", []), "huge_pages"),
        module_options=read_module_options(top.get("module_options", {}), "module_options"),
        blacklist=read_blacklist(top.get("blacklist", []), "blacklist"),
        ovs=read_switch(top.get("ovs", {}), "ovs"),
        persist=read_flag(top.get("persist", True), "persist"),
        manage_management=read_flag(top.get("manage_management", False), "manage_management"),
        separate_entry=_separate_entry(top.get("boot", {})),
        text=text,
    )


def _separate_entry(value: object) -> bool:
    entry = read_mapping(value, "boot", ("entry",)).get("entry", "every")
    if entry not in ("every", "separate"):
        hint = "entry: every, or entry: separate"
        raise PolicyInvalid("boot.entry", f"is {entry!r}", hint=hint)
    return bool(entry == "separate")

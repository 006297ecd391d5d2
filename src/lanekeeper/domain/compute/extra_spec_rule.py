"""What extra specs there are in Nova's scopes, and which values each may have.

A scope is what comes before a key's first colon. In one that Nova knows there are no other keys
than these; keys without a scope, and those of anybody else's scope, are notes.

Source: nova 34 ``api/validation/extra_specs``, a module for each scope, and ``validators.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import os_resource_classes
import os_traits

from lanekeeper.domain.compute.spec_scope import near_word
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.flag import parse_flag

_SHOWN = 60
_FEW = 8
"""So many keys of a scope are all named where none of them is near."""


class ValueRule(Protocol):
    """Which values an extra spec may have."""

    def why_not(self, text: str) -> str:
        """What is wrong with *text*, and what would be right; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Anything."""

    def why_not(self, text: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class _Flag:
    """Yes or no, in the spellings that OpenStack takes."""

    def why_not(self, text: str) -> str:
        try:
            parse_flag(text, "")
        except Invalid:
            return "is neither true nor false (also: yes, no, on, off, 1, 0)"
        return ""


@dataclass(frozen=True, slots=True)
class _Number:
    """A whole number as Python reads it, which is how Nova does."""

    least: int | None = None
    most: int | None = None

    def why_not(self, text: str) -> str:
        try:
            number = int(text)
        except ValueError:
            return f"is not a whole number{self._range}"
        too_small = self.least is not None and number < self.least
        too_large = self.most is not None and number > self.most
        return f"is not a whole number{self._range}" if too_small or too_large else ""

    @property
    def _range(self) -> str:
        if self.least is None:
            return ""
        return f" from {self.least}" + ("" if self.most is None else f" to {self.most}")


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of these words, letter for letter."""

    words: tuple[str, ...]

    def why_not(self, text: str) -> str:
        if text in self.words:
            return ""
        near = near_word(text, self.words)
        meant = f"; did you mean {near}?" if near else ""
        return f"is none of {', '.join(self.words)}{meant}"


@dataclass(frozen=True, slots=True)
class _Form:
    """Text of a form, and an example of it."""

    pattern: re.Pattern[str]
    example: str

    def why_not(self, text: str) -> str:
        return "" if self.pattern.fullmatch(text) else f"is not {self.example}"


_TEXT, _FLAG, _ANY_NUMBER = _Text(), _Flag(), _Number()
_FROM_0, _FROM_1 = _Number(0), _Number(1)
# Nova's own patterns for these repeat what may be empty, and take forever on some values; those
# here take the same values.
_CPUS = _Form(re.compile(r"\^?\d+(?:-\d+|,\^?\d+)*"), "a set of CPUs such as 0-3,^2")
_LABELS = _Form(
    re.compile(r"[a-zA-Z0-9_]+(?:,[a-zA-Z0-9_]+)*,?"), "a list of labels such as SMALL,LARGE"
)
_PAGES = _Form(
    re.compile(r"large|small|any|\d+(?:[kKMGT]i?)?(?:b|bit|B)?"),
    "large, small, any or a size such as 2048, 2MB or 1GB",
)
_DEVICES = _Form(re.compile(r"[^:]+:\d+(?:\s*,[^:]+:\d+)*"), "NAME:COUNT,NAME:COUNT and so on")


@dataclass(frozen=True)
class Scope:
    """One of Nova's scopes.

    Attributes:
        name: how it begins.
        names: its keys without the scope; ``{N}`` in one is a number.
        families: keys that are too many to name, as a pattern.
        grouped: whether a word of the operator's own may stand behind its name.
    """

    name: str
    names: Mapping[str, ValueRule] = field(default_factory=dict)
    families: Mapping[str, ValueRule] = field(default_factory=dict)
    grouped: bool = False

    def has(self, scope: str) -> bool:
        """Whether a key with this before its first colon belongs here."""
        return re.fullmatch(self.name + (r"[a-zA-Z0-9_-]{0,64}" * self.grouped), scope) is not None

    def rule(self, name: str) -> ValueRule | None:
        """Which values a key may have; None where there is no such key."""
        if name in self.names and "{" not in name:
            return self.names[name]
        return next((rule for form, rule in self._forms if form.fullmatch(name)), None)

    def near(self, name: str) -> str | None:
        """The key that *name* is a slip of; None where it is none."""
        number = found[0] if (found := re.search(r"\d+$", name)) else "0"
        return near_word(name, [one.replace("{N}", number) for one in self.names])

    @cached_property
    def _forms(self) -> tuple[tuple[re.Pattern[str], ValueRule], ...]:
        numbered = (
            (re.escape(name).replace(re.escape("{N}"), r"\d+"), rule)
            for name, rule in self.names.items()
            if "{N}" in name
        )
        return tuple((re.compile(one), rule) for one, rule in (*numbered, *self.families.items()))


_CAPABILITIES = (
    "aggregates cell_uuid cpu_allocation_ratio current_workload disk_allocation_ratio "
    "disk_available_least disk_mb_used failed_builds free_disk_gb free_disk_mb free_ram_mb host "
    "host_ip hypervisor_hostname hypervisor_type hypervisor_version id local_gb local_gb_used "
    "mapped memory_mb memory_mb_used num_instances num_io_ops ram_allocation_ratio running_vms "
    "service_id total_usable_disk_gb total_usable_ram_mb updated uuid vcpus vcpus_total vcpus_used"
)
_DEEP_CAPABILITIES = (
    "cpu_info instances limits metrics nodename numa_topology pci_device_pools pci_stats stats "
    "supported_hv_specs supported_instances"
)
"""Those of which a part may be named behind a colon."""

_HW: Mapping[str, ValueRule] = {
    "boot_menu": _FLAG,
    "cpu_cores": _FROM_1,
    "cpu_dedicated_mask": _CPUS,
    "cpu_max_cores": _FROM_1,
    "cpu_max_sockets": _FROM_1,
    "cpu_max_threads": _FROM_1,
    "cpu_policy": _Choice(("dedicated", "shared", "mixed")),
    "cpu_realtime": _FLAG,
    "cpu_realtime_mask": _CPUS,
    "cpu_sockets": _FROM_1,
    "cpu_thread_policy": _Choice(("prefer", "isolate", "require")),
    "cpu_threads": _FROM_1,
    "emulator_threads_policy": _Choice(("isolate", "share")),
    "ephemeral_encryption": _FLAG,
    "ephemeral_encryption_format": _Choice(("plain", "luks", "luksv2")),
    "hide_hypervisor_id": _FLAG,
    "locked_memory": _FLAG,
    "mem_encryption": _FLAG,
    "mem_encryption_model": _Choice(("amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx")),
    "mem_page_size": _PAGES,
    "numa_cpus.{N}": _CPUS,
    "numa_mem.{N}": _FROM_1,
    "numa_nodes": _FROM_1,
    "pci_numa_affinity_policy": _Choice(("required", "preferred", "legacy", "socket")),
    "pmem": _LABELS,
    "pmu": _FLAG,
    "redirected_usb_ports": _Number(0, 15),
    "serial_port_count": _FROM_0,
    "sound_model": _Choice(
        ("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    ),
    "tpm_model": _Choice(("tpm-tis", "tpm-crb")),
    "tpm_secret_security": _Choice(("user", "host", "deployment")),
    "tpm_version": _Choice(("1.2", "2.0")),
    "usb_model": _Choice(("none", "nec-xhci", "qemu-xhci")),
    "vif_multiqueue_enabled": _FLAG,
    "viommu_model": _Choice(("intel", "smmuv3", "virtio", "auto")),
    "virtio_packed_ring": _FLAG,
    "watchdog_action": _Choice(("none", "pause", "poweroff", "reset", "disabled")),
}
_OF_QUOTAS: Mapping[str, ValueRule] = {
    "limit": _FROM_0,
    "reservation": _ANY_NUMBER,
    "shares_level": _Choice(("custom", "high", "normal", "low")),
    "shares_share": _FROM_0,
}
_QUOTA: Mapping[str, ValueRule] = {
    **{
        f"{what}_{name}": rule
        for what in ("cpu", "memory", "disk_io", "vif")
        for name, rule in _OF_QUOTAS.items()
    },
    "cpu_shares": _FROM_0,
    "cpu_period": _FROM_0,
    "cpu_quota": _ANY_NUMBER,
    **{
        f"disk_{way}_{unit}_sec": _FROM_0
        for way in ("read", "write", "total")
        for unit in ("bytes", "iops")
    },
    **{
        f"vif_{way}_{what}": _FROM_0
        for way in ("inbound", "outbound")
        for what in ("average", "peak", "burst")
    },
}
_TRAIT = _Choice(("required", "forbidden"))

SCOPES = (
    Scope("accel", {"device_profile": _TEXT}),
    Scope("aggregate_instance_extra_specs", families={r".+": _TEXT}),
    Scope(
        "capabilities",
        dict.fromkeys(_CAPABILITIES.split(), _TEXT),
        {rf"(?:{_DEEP_CAPABILITIES.replace(' ', '|')})(?::\w+)*": _TEXT},
    ),
    Scope("hw", _HW),
    Scope("hw_rng", {"allowed": _FLAG, "rate_bytes": _FROM_0, "rate_period": _FROM_0}),
    Scope("hw_video", {"ram_max_mb": _FROM_0}),
    Scope("os", {"secure_boot": _Choice(("disabled", "required"))}),
    Scope("pci_passthrough", {"alias": _DEVICES}),
    Scope("quota", _QUOTA),
    Scope(
        "resources",
        dict.fromkeys(os_resource_classes.STANDARDS, _ANY_NUMBER),
        {"CUSTOM_[A-Z0-9_]+": _ANY_NUMBER},
        grouped=True,
    ),
    Scope(
        "trait",
        dict.fromkeys(os_traits.get_traits(), _TRAIT),
        {"CUSTOM_[A-Z0-9_]+": _TRAIT},
        grouped=True,
    ),
    Scope("vmware", {"hw_version": _TEXT, "storage_policy": _TEXT}),
)
_WITHOUT_SCOPE: Mapping[str, ValueRule] = {
    "hide_hypervisor_id": _FLAG,
    "group_policy": _Choice(("isolate", "none")),
}


def check_by_rule(key: str, value: str) -> None:
    """Check one extra spec as Nova does.

    Raises:
        Invalid: there is no such key in its scope, or it has no such value; the message says which
            would be right, or the hint which is meant.
    """
    rule = _WITHOUT_SCOPE.get(key)
    before, colon, name = key.partition(":")
    scope = next((one for one in SCOPES if one.has(before)), None) if colon else None
    if scope is not None:
        rule = scope.rule(name)
        if rule is None:
            near = scope.near(name)
            raise Invalid(
                f"extra spec {key[:_SHOWN]} does not exist",
                hint=f"did you mean {before}:{near}?" if near else _there_are(scope, before),
            )
    if rule is not None and (why := rule.why_not(value)):
        raise Invalid(f"extra spec {key[:_SHOWN]} {value[:_SHOWN]!r} {why}")


def _there_are(scope: Scope, before: str) -> str:
    names = list(scope.names)
    if not names or len(names) > _FEW:
        return ""
    return f"{before}: has {', '.join(names)}"

"""Kernel arguments about the IOMMU, interrupts and huge pages that look like a slip of the pen.

The kernel passes over what it does not know, so such a one does nothing and nobody says so.

Source: Linux ``Documentation/admin-guide/kernel-parameters.txt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from lanekeeper.domain.hostplan.iommu_argument import values

_VALUES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "intel_iommu": frozenset(
            {"on", "off", "igfx_off", "forcedac", "strict", "sp_off", "sm_on", "sm_off"}
            | {"tboot_noforce"}
        ),
        "amd_iommu": frozenset(
            {"fullflush", "off", "force_isolation", "force_enable", "pgtbl_v1", "pgtbl_v2"}
            | {"irtcachedis", "nohugepages", "v2_pgsizes_only", "on"}
        ),
        "iommu": frozenset(
            {"off", "force", "noforce", "biomerge", "merge", "nomerge", "panic", "nopanic", "pt"}
            | {"nopt", "soft", "on", "usedac", "forcesac", "allowdac", "nodac", "fullflush"}
        ),
        "intremap": frozenset({"on", "off", "nosid", "no_x2apic_optout", "nopost", "posted_msi"}),
    }
)
_NAMES = (
    *_VALUES,
    *("iommu.passthrough", "iommu.strict", "pcie_acs_override", "default_hugepagesz"),
    *("hugepagesz", "hugepages", "isolcpus", "nohz_full", "rcu_nocbs"),
)
_OTHERS = frozenset({"iommu.forcedac", "amd_iommu_intr", "amd_iommu_dump"})
"""What the kernel knows, too, and is near to one of those."""
_NEAR = 0.79  # "onn" is that near to "on"; "pt" is not to "off"


def slip(argument: str) -> tuple[str, str] | None:
    """Return what of *argument* the kernel does not know and what was meant; None where all is well
    or nothing is near.
    """
    name, equals, value = argument.partition("=")
    if name not in _NAMES and name not in _OTHERS:
        near = _nearest(name, _NAMES)
        return (name, f"{near}{equals}{value}") if near else None
    known = _VALUES.get(name, frozenset())
    parts = values(argument) if known else []
    meant = [part if part in known else _nearest(part, known) or part for part in parts]
    wrong = [part for part, one in zip(parts, meant, strict=True) if part != one]
    return (f"{name}={','.join(wrong)}", f"{name}={','.join(meant)}") if wrong else None


def _nearest(word: str, known: Iterable[str]) -> str:
    """The nearest known word, the same in other letters first; empty where none is near."""
    same = [one for one in known if one == word.lower().replace("-", "_")]
    return next(iter(same or get_close_matches(word.lower(), sorted(known), 1, _NEAR)), "")

"""What is to be written to a VF, and how it is compared with what the PF holds for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from lanekeeper.domain.pci.vf_settings import NO_MAC, LinkState, VfSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class VfChange:
    """Settings to write to one VF; None leaves a setting as it is.

    ``mac`` of all zero clears the administrative address. VLAN and priority travel in one
    attribute, so ``qos`` alone is not a change; the same holds for the two rates, where a missing
    one would be cleared: give both.

    Source: Linux ``include/uapi/linux/if_link.h``, struct ifla_vf_vlan and ifla_vf_rate.
    """

    mac: str | None = None
    vlan: int | None = None
    qos: int = 0
    spoofchk: bool | None = None
    link_state: LinkState | None = None
    trust: bool | None = None
    rates: tuple[int, int] | None = None  # (min_tx_rate, max_tx_rate) in Mbit/s; 0 is none


AT_REST = VfChange(
    mac=NO_MAC, vlan=0, spoofchk=True, link_state=LinkState.AUTO, trust=False, rates=(0, 0)
)
"""The change that takes every setting of a VF back to what the kernel starts it with."""


_REPORTED_BY_SOME = ("spoofchk", "link_state", "trust")


def changed_fields(change: VfChange) -> tuple[str, ...]:
    """Name the settings that *change* would write, in the order they are written."""
    return tuple(
        field.name
        for field in fields(change)
        if field.name != "qos" and getattr(change, field.name) is not None
    )


def differences(wanted: VfChange, found: VfSettings) -> Iterator[str]:
    """Name each setting of *wanted* that *found* lacks; one that is not reported is skipped."""
    mac = None if wanted.mac == NO_MAC else wanted.mac
    if wanted.mac is not None and mac != found.mac:
        yield "mac"
    if wanted.vlan is not None and (wanted.vlan, wanted.qos) != (found.vlan, found.qos):
        yield "vlan"
    for name in _REPORTED_BY_SOME:
        asked, is_now = getattr(wanted, name), getattr(found, name)
        if asked is not None and is_now is not None and asked != is_now:
            yield name
    if wanted.rates not in (None, (found.min_tx_rate, found.max_tx_rate)):
        yield "rates"


def losses(wanted: VfChange, found: VfSettings, unsupported: frozenset[str]) -> tuple[str, ...]:
    """Name the settings that the VF of a running guest should have and has not.

    What its driver does not know (*unsupported*) is none, and neither is the MAC of a trusted
    guest, which may give itself another one.
    """
    free = unsupported | ({"mac"} if wanted.trust else frozenset())
    return tuple(name for name in differences(wanted, found) if name not in free)


def narrowed(wanted: VfChange, found: VfSettings) -> VfChange:
    """Leave out of *wanted* what *found* has already: some drivers refuse even to repeat it.

    What is not reported stays in. Source: Linux ``drivers/net/ethernet/intel/ixgbe/ixgbe_sriov.c``,
    ixgbe_ndo_set_vf_bw, which refuses any rate, none too, while the link is down.
    """
    missing = set(differences(wanted, found))
    missing |= {name for name in _REPORTED_BY_SOME if getattr(found, name) is None}
    done: dict[str, Any] = {name: None for name in changed_fields(wanted) if name not in missing}
    return replace(wanted, **done)

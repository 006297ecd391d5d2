"""What a PF's driver can set for its VFs, known before anybody asks for it.

Drivers that are not named here are taken to be able; what they then refuse is told by the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class VfAbility(StrEnum):
    """A setting that not every driver has, as it is said in a sentence."""

    LINK_STATE = "the link state of a VF"
    TRUST = "trust in a VF"
    MAX_RATE = "a limit of what a VF sends"
    MIN_RATE = "a guarantee of what a VF sends"


_NONE_OF: Mapping[str, frozenset[VfAbility]] = {
    # No ndo_set_vf_link_state; igb_ndo_set_vf_bw answers EINVAL to any guarantee.
    "igb": frozenset({VfAbility.LINK_STATE, VfAbility.MIN_RATE}),
    # ixgbe_ndo_set_vf_bw and i40e_ndo_set_vf_bw: EINVAL to any guarantee.
    "ixgbe": frozenset({VfAbility.MIN_RATE}),
    "i40e": frozenset({VfAbility.MIN_RATE}),
    # mlx4_netdev_ops has no ndo_set_vf_trust.
    "mlx4_core": frozenset({VfAbility.TRUST}),
    # efx_netdev_ops has neither ndo_set_vf_rate nor ndo_set_vf_trust.
    "sfc": frozenset({VfAbility.TRUST, VfAbility.MAX_RATE, VfAbility.MIN_RATE}),
}
"""Source: Linux 6.12 ``drivers/net/ethernet``, each driver's struct net_device_ops."""


def lacking(driver: str | None) -> frozenset[VfAbility]:
    """What the driver of a PF is known not to be able to set; nothing for one not known."""
    return _NONE_OF.get(driver or "", frozenset())

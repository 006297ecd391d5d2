"""What a PF holds for each of its VFs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

NO_MAC = "00:00:00:00:00:00"
"""What the kernel shows, and takes, for no administrative address."""


class LinkState(IntEnum):
    """What a VF is told about its cable.

    Source: Linux ``include/uapi/linux/if_link.h``, IFLA_VF_LINK_STATE_*.
    """

    AUTO = 0  # follows the PF's carrier
    ENABLE = 1
    DISABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VfSettings:
    """What the PF holds for one VF, whole. ``VfSettings()`` is a VF at rest: clean.

    Attributes:
        mac: administrative address, lower case with colons; None when none was set (all zero).
        vlan: 0 for none, else 1 to 4094; *qos* is its 802.1p priority, 0 to 7.
        min_tx_rate, max_tx_rate: Mbit/s; 0 is no guarantee, no limit.
        spoofchk, link_state, trust: None when the driver does not report them.
    """

    mac: str | None = None
    vlan: int = 0
    qos: int = 0
    spoofchk: bool | None = True
    link_state: LinkState | None = LinkState.AUTO
    trust: bool | None = False
    min_tx_rate: int = 0
    max_tx_rate: int = 0

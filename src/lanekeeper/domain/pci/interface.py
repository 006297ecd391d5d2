"""The interface that a function is at its own host, on which a guest may have a macvtap."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInterface:
    """One network interface of a PCI function at one moment. A fact, never edited.

    Attributes:
        mac: lower case with colons.
        mtu: bytes.
        uppers: interfaces that stand on it: a macvtap, a bond, a bridge, a VLAN.
        is_named: whether nobody is about to rename it, as udev does with a new one.
    """

    name: str
    mac: str
    mtu: int
    is_up: bool
    uppers: tuple[str, ...] = ()
    is_named: bool = True

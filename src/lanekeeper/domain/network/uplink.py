"""Whether what a PF hangs on carries anything: its own link, and what its bond says of it.

What is wrong has to last before it counts, and what is well again longer, so that a loose cable
has nobody come and go.

Source: Linux ``Documentation/ABI/testing/sysfs-class-net``, ``drivers/net/bonding/
bond_sysfs_slave.c``; IEEE 802.1AX-2020, 6.4.2.3, Actor_State.
"""

from __future__ import annotations

from dataclasses import dataclass

_CARRIES = 0x10 | 0x20  # collecting, distributing
_UNHEARD = 0x40 | 0x80  # defaulted, expired: the switch says nothing, or no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """What is read of a PF's interface; None is what it cannot tell.

    Attributes:
        bond: whose member it is; empty for none.
        monitored: what the bond's own watch says of it.
        lacp: its state as LACP has it, bits of IEEE 802.1AX; None in a bond without.
    """

    carrier: bool | None = None
    bond: str = ""
    monitored: bool | None = None
    lacp: int | None = None


def why_down(found: Uplink) -> str:
    """Say why nothing passes there; empty where something may."""
    if found.carrier is False:
        return "it has no link"
    if found.monitored is False:
        return f"{found.bond} takes it for down"
    if found.lacp is None:
        return ""
    if found.lacp & _UNHEARD:
        return f"its switch does not speak LACP to {found.bond}"
    if found.lacp & _CARRIES != _CARRIES:
        return f"LACP keeps it out of {found.bond}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long what is wrong has to last, and what is well again, before it counts; seconds."""

    down_s: float = 2.0
    up_s: float = 10.0


USUAL = Patience()


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an uplink has been.

    Attributes:
        why: what was wrong when it was read last; empty for nothing.
        since_s: since when that is so.
        down: why it counts as down; empty where it does not.
    """

    why: str
    since_s: float
    down: str = ""

    def follow(self, why: str, now_s: float, patience: Patience) -> Course:
        """Go on with what was read now."""
        since_s = self.since_s if bool(why) == bool(self.why) else now_s
        lasts = now_s - since_s >= (patience.down_s if why else patience.up_s)
        return Course(why=why, since_s=since_s, down=why if lasts else self.down)

    def is_sure(self, now_s: float, patience: Patience) -> bool:
        """Whether it has been well for so long that it can be relied on."""
        return not self.why and not self.down and now_s - self.since_s >= patience.up_s


def first(why: str, now_s: float, *, at_once: bool = False) -> Course:
    """Begin with what was read first, which has to last like all else.

    *at_once* what is wrong counts where it may have lasted, and counted, before anybody followed.
    """
    return Course(why=why, since_s=now_s, down=why if at_once else "")

"""What the kernel says of an interface's link, and of its place in a bond.

Source: Linux ``Documentation/ABI/testing/sysfs-class-net``, ``drivers/net/bonding/
bond_sysfs_slave.c``: ``N/A`` stands where a bond has no LACP.
"""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.host.attribute import link_name, read_text

_CARRIER = {"up": True, "down": False, "lowerlayerdown": False}


def read_uplink(root: Path, name: str) -> Uplink:
    """Read interface *name*. Raises HostFault."""
    home = root / "sys/class/net" / name
    member = home / "bonding_slave"
    lacp = read_text(str(member / "ad_actor_oper_port_state")) or ""
    monitored = read_text(str(member / "mii_status"))
    return Uplink(
        carrier=_CARRIER.get(read_text(str(home / "operstate")) or ""),
        bond=link_name(str(home / "master")) or "",
        monitored=None if monitored is None else monitored == "up",
        lacp=int(lacp) if lacp.isdecimal() else None,
    )

"""Forwarding entries that a card's own switch is told: addresses that are behind its PF.

A card with VFs forwards between them itself, and knows the addresses of its VFs and of its PF
alone. A guest behind a virtual switch that has the PF for a port is behind the PF; unless the card
is told, what a VF sends to it goes out on the wire and does not come back.

Source: Linux ``Documentation/networking/switchdev.rst``; bridge(8), fdb; neutron
``agent/l2/extensions/fdb_population.py``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lanekeeper.domain.errors import HostFault, NotFound

_NUD_PERMANENT, _NTF_SELF = 0x80, 0x02  # include/uapi/linux/neighbour.h


class Fdb:
    """The kernel's forwarding entries of PFs, which are named by the index of their interface.

    *label* in each call is how the PF is called in a refusal, as ``0000:21:00.0 (ens1)``.
    """

    def read(self, ifindex: int, label: str) -> frozenset[str]:
        """Return the permanent addresses of the card itself, in small letters.

        Raises:
            NotFound: no such interface.
            HostFault: the kernel refused.
        """
        with _asked(f"read the forwarding entries of {label}") as netlink:
            found = [
                one.get_attr("NDA_LLADDR")
                for one in netlink.fdb("dump", ifindex=ifindex)
                if one["ifindex"] == ifindex
                and one["state"] & _NUD_PERMANENT
                and one["flags"] & _NTF_SELF
            ]
        return frozenset(mac for mac in found if mac)

    def add(self, ifindex: int, label: str, mac: str) -> None:
        """Tell the card of *mac*; told already is done. Raises as ``read``."""
        what = f"tell {label} that {mac} is behind it"
        with _asked(what, passing=errno.EEXIST) as netlink:
            netlink.fdb("add", ifindex=ifindex, lladdr=mac)

    def remove(self, ifindex: int, label: str, mac: str) -> None:
        """Tell the card that *mac* is not there; unknown already is done. Raises as ``read``."""
        what = f"tell {label} that {mac} is not behind it any more"
        with _asked(what, passing=errno.ENOENT) as netlink:
            netlink.fdb("del", ifindex=ifindex, lladdr=mac)


@contextmanager
def _asked(action: str, passing: int = 0) -> Iterator[Any]:
    from pyroute2 import IPRoute  # 0.3 s to load
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        if error.code == passing:
            return
        reason = os.strerror(error.code)
        if error.code == errno.ENODEV:
            raise NotFound(f"cannot {action}: {reason}") from error
        raise HostFault(f"cannot {action}: {reason}") from error
    except OSError as error:
        raise HostFault(f"cannot {action}: {error.strerror or error}") from error

"""Which network interfaces carry this host's management traffic; nobody gets to change those.

Source: Linux ``include/uapi/linux/rtnetlink.h``, RTM_GETROUTE answers with the way the kernel
would take; ``Documentation/ABI/testing/sysfs-class-net``, lower_<name> names what lies below a
bridge, a bond or a VLAN.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from lanekeeper.host.interfaces import read_interfaces
from lanekeeper.host.lower import Lowers
from lanekeeper.host.netlink import Ask, ask_kernel
from lanekeeper.host.route import DEFAULT

_RTM_GETROUTE = 26
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2

Resolve = Callable[[str], Collection[str]]
"""The addresses of a name; none when there is no answer now."""
LeadsTo = Callable[[str], str | None]
"""The interface by which an address is reached; None when there is no way now."""


def resolve(name: str) -> Collection[str]:
    """Ask the resolver of this machine."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter: no name at all
        return ()
    return tuple({str(address[0]).partition("%")[0] for *_, address in found})


def leads_to(address: str, ask: Ask = ask_kernel) -> str | None:
    """Ask the kernel."""
    from pyroute2.netlink.rtnl.rtmsg import rtmsg  # 0.1 s to load

    target = ipaddress.ip_address(address)
    message = rtmsg()
    message["header"]["type"] = _RTM_GETROUTE
    message["header"]["flags"] = _NLM_F_REQUEST
    message["family"] = socket.AF_INET if target.version == 4 else socket.AF_INET6  # noqa: PLR2004
    message["dst_len"] = target.max_prefixlen
    message["attrs"] = [("RTA_DST", address)]
    message.encode()
    try:
        said = ask(bytes(message.data))
        if int.from_bytes(said[4:6], sys.byteorder) == _NLMSG_ERROR:
            return None
        answer = rtmsg(said)
        answer.decode()
        index = answer.get_attr("RTA_OIF")
        return socket.if_indextoname(index) if index else None
    except OSError:
        return None


class Management:
    """Names the interfaces that lead to the controller and to the default route, at each call.

    A question that has no answer now is answered as it last was: a name that cannot be resolved, a
    route that is away, or Open vSwitch at a restart, says nothing of what carries the host's
    traffic. While there never was an answer, whatever has a route counts.
    """

    def __init__(
        self,
        controller: str,
        root: Path = Path("/"),
        resolve: Resolve = resolve,
        leads_to: LeadsTo = leads_to,
    ) -> None:
        """*controller* is its URL; of one on this machine nothing but the loopback is the way."""
        self._name = urlsplit(controller).hostname or ""
        self._root = root
        self._resolve = resolve
        self._leads_to = leads_to
        self._ways: dict[str, frozenset[str]] = {}
        self._default = frozenset[str]()

    def __call__(self) -> frozenset[str]:
        """Raises HostFault: the interfaces cannot be read."""
        self._ask()
        read = read_interfaces(self._root)
        found = read.found
        default = frozenset(one.name for one in found if DEFAULT in one.carries)
        self._default = default or self._default
        known = read.unasked if self._default else ()
        doubted = (one.name for one in found if one.doubt and one.name not in known)
        unasked = (one.name for one in found if one.carries and not self._ways)
        return self._default.union(doubted, unasked, *self._ways.values())

    def _ask(self) -> None:
        """Renew what is known of the ways to the controller, as far as there are answers."""
        addresses = self._resolve(self._name) or tuple(self._ways)
        ways = {address: self._way(address) for address in addresses}
        known = {address: way for address, way in ways.items() if way is not None}
        self._ways = known or self._ways

    def _way(self, address: str) -> frozenset[str] | None:
        name, before = self._leads_to(address), self._ways.get(address)
        if name is None:
            return before
        below = Lowers(self._root).of(name)
        if below.doubted and before is not None:
            return before
        return frozenset((*below.names, *below.doubted))

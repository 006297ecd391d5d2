"""Which network interfaces carry this host's management traffic; nobody gets to change those.

Source: Linux ``include/uapi/linux/rtnetlink.h``, RTM_GETROUTE answers with the way the kernel
would take; ``Documentation/ABI/testing/sysfs-class-net``, lower_<name> names what lies below a
bridge, a bond or a VLAN.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from lanekeeper.host.netlink import Ask, ask_kernel

_RTM_GETROUTE = 26
_NLM_F_REQUEST = 1


def management_interfaces(
    controller: str, root: Path = Path("/"), ask: Ask = ask_kernel
) -> frozenset[str]:
    """Name the interface that leads to *controller* (a URL), and all that lie below it.

    Empty when the controller is on this machine, or its name cannot be resolved now.
    """
    parts = urlsplit(controller)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    names: set[str] = set()
    for _, _, _, _, address in found:
        name = _leads_to(str(address[0]).partition("%")[0], ask)
        if name is not None and name != "lo":
            _descend(root / "sys/class/net", name, names)
    return frozenset(names)


def _leads_to(address: str, ask: Ask) -> str | None:
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
        answer = rtmsg(ask(bytes(message.data)))
        answer.decode()
        index = answer.get_attr("RTA_OIF")
        return socket.if_indextoname(index) if index else None
    except OSError:
        return None  # no way there: then nothing carries it either


def _descend(interfaces: Path, name: str, names: set[str]) -> None:
    if name in names:
        return
    names.add(name)
    for below in sorted((interfaces / name).glob("lower_*")):
        _descend(interfaces, below.name.removeprefix("lower_"), names)

"""Settings of VFs and state of PFs, over rtnetlink.

pyroute2 builds the messages; the socket is our own, and so is the reading of VFs, which comes so
often that a general decoder is felt (0.2 ms a VF). The kernel knows no question about one VF:
whoever asks gets all VFs of the PF in one message, 50 to 75 KiB for 256 of them. So the answer is
measured before it is taken (MSG_PEEK), the per-VF counters are declined, and an answer that does
not hold as many VFs as it announces is a refusal, never a shorter list.

Source: Linux ``include/uapi/linux/if_link.h`` and ``net/core/rtnetlink.c``, rtnl_fill_vfinfo(),
do_setvfinfo().
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.vf_change import VfChange, changed_fields
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_ACK_TLVS = 0x1, 0x4, 0x200
_NLMSG_ERROR, _NLMSGERR_ATTR_MSG = 2, 1
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_RTEXT_FILTER_VF, _RTEXT_FILTER_SKIP_STATS = 1, 8
_IFF_UP = 1
_HEADER_BYTES = 16  # struct nlmsghdr; in an error it stands once more, after the error number
_LINK_BYTES = 16  # struct ifinfomsg
_ATTRIBUTE, _WORD = struct.Struct("=HH"), struct.Struct("=I")
_KIND_MASK = 0x3FFF  # NLA_TYPE_MASK
_IFLA_NUM_VF, _IFLA_VFINFO_LIST = 21, 22
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK = 1, 2, 4
_IFLA_VF_LINK_STATE, _IFLA_VF_RATE, _IFLA_VF_TRUST = 5, 6, 9
_UNKNOWN = 0xFFFF_FFFF
_TIMEOUT_S = 30.0  # a VF mailbox that hangs holds the RTNL lock for seconds
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, 524})  # 524: ENOTSUPP, which leaks from drivers

Ask = Callable[[bytes], bytes]
"""Gives the kernel one request and returns its one answer, whole. Raises OSError."""


def ask_kernel(request: bytes) -> bytes:
    """Send *request* on a socket of its own and return the answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        kernel.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        kernel.bind((0, 0))
        kernel.send(request)
        size = kernel.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        return kernel.recv(size)


class VfLinks:
    """VF settings and link state of PFs, which are named by the index of their interface.

    *label* in each call is how the PF is called in a refusal, as ``0000:21:00.0 (ens1)``.
    """

    def __init__(self, ask: Ask = ask_kernel) -> None:
        self._ask = ask

    def read(self, ifindex: int, label: str) -> dict[int, VfSettings]:
        """Return the settings of every VF, by VF index, in one question.

        Raises:
            NotFound: no such interface.
            HostFault: the kernel refused, or its answer leaves VFs out.
        """
        mask = _RTEXT_FILTER_VF | _RTEXT_FILTER_SKIP_STATS
        message = self._transact(_RTM_GETLINK, ifindex, [("IFLA_EXT_MASK", mask)])
        answer = _checked(message, f"read the VFs of {label}")
        return _decode(answer, label)

    def write(self, ifindex: int, label: str, index: int, change: VfChange) -> tuple[str, ...]:
        """Write *change* to VF *index*, one setting a message so that a refusal can be named.

        Returns the names of the settings that the driver does not know.

        Raises:
            NotFound: no such interface.
            HostFault: a setting was refused; those before it are written.
        """
        unsupported = []
        for name in changed_fields(change):
            attribute, said = _encode(name, index, change)
            payload = {"attrs": [("IFLA_VF_INFO", {"attrs": [attribute]})]}
            message = self._transact(_RTM_SETLINK, ifindex, [("IFLA_VFINFO_LIST", payload)])
            if _error(message)[0] in _UNSUPPORTED:
                unsupported.append(name)
            else:
                _checked(message, f"set {said} on VF {index} of {label}")
        return tuple(unsupported)

    def set_up(self, ifindex: int, label: str, up: bool) -> None:
        """Set the interface up or down. Raises NotFound, HostFault."""
        message = self._transact(_RTM_SETLINK, ifindex, [], flags=_IFF_UP if up else 0)
        _checked(message, f"set {label} {'up' if up else 'down'}")

    def set_address(self, ifindex: int, label: str, mac: str, mtu: int) -> None:
        """Give the interface a MAC and an MTU. Raises NotFound, HostFault."""
        for attribute, value, said in (
            ("IFLA_ADDRESS", mac, f"MAC {mac}"),
            ("IFLA_MTU", mtu, f"MTU {mtu}"),
        ):
            message = self._transact(_RTM_SETLINK, ifindex, [(attribute, value)])
            _checked(message, f"set {said} on {label}")

    def _transact(
        self, kind: int, ifindex: int, attributes: list[tuple[str, Any]], flags: int | None = None
    ) -> bytes:
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # 0.1 s to load

        message = ifinfmsg()
        message["header"]["type"] = kind
        acknowledge = _NLM_F_ACK if kind == _RTM_SETLINK else 0
        message["header"]["flags"] = _NLM_F_REQUEST | acknowledge
        message["index"] = ifindex
        if flags is not None:
            message["flags"], message["change"] = flags, _IFF_UP
        message["attrs"] = attributes
        message.encode()
        try:
            return self._ask(bytes(message.data))
        except OSError as error:
            raise HostFault(f"netlink gives no answer: {error.strerror or error}") from error


def _encode(name: str, index: int, change: VfChange) -> tuple[tuple[str, dict[str, Any]], str]:
    """Return the attribute for one setting, and the setting in words."""
    value = getattr(change, name)
    vf = {"vf": index}
    match name:
        case "mac":
            return ("IFLA_VF_MAC", {**vf, "mac": value}), f"MAC {value}"
        case "vlan":
            fields = {**vf, "vlan": value, "qos": change.qos}
            return ("IFLA_VF_VLAN", fields), f"VLAN {value} with priority {change.qos}"
        case "rates":
            fields = {**vf, "min_tx_rate": value[0], "max_tx_rate": value[1]}
            return ("IFLA_VF_RATE", fields), f"transmit rates {value[0]} to {value[1]} Mbit/s"
        case "link_state":
            said = f"link state {LinkState(value).name.lower()}"
            return ("IFLA_VF_LINK_STATE", {**vf, name: int(value)}), said
        case _:
            said = f"{'spoof check' if name == 'spoofchk' else name} {'on' if value else 'off'}"
            return (f"IFLA_VF_{name.upper()}", {**vf, name: int(value)}), said


def _error(message: bytes) -> tuple[int, str]:
    """Return errno and the kernel's own sentence from an answer; 0 when it is no refusal."""
    _, kind, flags = struct.unpack_from("=IHH", message)
    if kind != _NLMSG_ERROR:
        return 0, ""
    (code,) = struct.unpack_from("=i", message, _HEADER_BYTES)
    if not flags & _NLM_F_ACK_TLVS:
        return -code, ""
    try:
        text = dict(_attributes(message, 2 * _HEADER_BYTES + 4)).get(_NLMSGERR_ATTR_MSG, b"")
    except ValueError:
        return -code, ""  # the refusal counts without its reason
    return -code, text.rstrip(b"\0").decode("utf-8", "replace")


def _attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes (struct nlattr) from *at* on, by their kind, without its two flags.

    Raises:
        ValueError: one is longer than what is left.
    """
    while at + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not 4 <= length <= len(data) - at:  # noqa: PLR2004  # struct nlattr itself
            raise ValueError(f"attribute {kind} of {length} bytes where {len(data) - at} are left")
        yield kind & _KIND_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _checked(message: bytes, action: str) -> bytes:
    code, text = _error(message)
    if code == 0:
        return message
    reason = f"{os.strerror(code)}{f' ({text})' if text else ''}"
    if code == errno.ENODEV:
        raise NotFound(f"cannot {action}: {reason}")
    raise HostFault(f"cannot {action}: {reason}")


def _decode(message: bytes, label: str) -> dict[int, VfSettings]:
    try:
        link = dict(_attributes(message, _HEADER_BYTES + _LINK_BYTES))
        announced = _word(link.get(_IFLA_NUM_VF, bytes(4)), 0)
        found = dict(_settings(info) for _, info in _attributes(link.get(_IFLA_VFINFO_LIST, b"")))
    except (KeyError, struct.error, ValueError) as error:
        raise HostFault(f"the kernel's answer about {label} makes no sense: {error!r}") from error
    if len(found) != announced:
        # A nested attribute ends at 64 KiB; the kernel's length field wraps silently beyond.
        raise HostFault(f"the kernel's answer about {label} has {len(found)} VFs of {announced}")
    return found


def _settings(info: bytes) -> tuple[int, VfSettings]:
    """One IFLA_VF_INFO. Each attribute begins with the index of the VF."""
    told = dict(_attributes(info))

    def flag(kind: int) -> bool | None:
        # Drivers that do not know a setting leave it at -1. Source: rtnl_fill_vfinfo().
        number = _word(told[kind], 1) if kind in told else _UNKNOWN
        return None if number == _UNKNOWN else bool(number)

    mac, vlan, rate = told[_IFLA_VF_MAC], told.get(_IFLA_VF_VLAN), told.get(_IFLA_VF_RATE)
    state = told.get(_IFLA_VF_LINK_STATE)
    return _word(mac, 0), VfSettings(
        mac=mac[4:10].hex(":") if any(mac[4:10]) else None,
        vlan=_word(vlan, 1) if vlan else 0,
        qos=_word(vlan, 2) if vlan else 0,
        spoofchk=flag(_IFLA_VF_SPOOFCHK),
        link_state=None if state is None else LinkState(_word(state, 1)),
        trust=flag(_IFLA_VF_TRUST),
        min_tx_rate=_word(rate, 1) if rate else 0,
        max_tx_rate=_word(rate, 2) if rate else 0,
    )


def _word(data: bytes, position: int) -> int:
    """A number of 32 bits, by its place."""
    number: int = _WORD.unpack_from(data, 4 * position)[0]
    return number

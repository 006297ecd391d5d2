"""What rtnetlink holds of VFs, answered by a process that stands in for the kernel.

``python -m bench.vf_kernel PFS VFS COUNTERS DELAY``; prints ``ready PORT``. It is asked over
netlink sockets of family NETLINK_USERSOCK, so both sides make the system calls that they make in
production. PF number n has the index n + 10 and is called ``pf<n>``. A VF begins with the
administrative MAC that libvirt has set, and at rest otherwise; what is written is read back.

Two messages that no kernel knows: one begins a round, one tells what was asked since, and what the
VFs are set to.

Source: Linux ``include/uapi/linux/if_link.h``, ``net/core/rtnetlink.c``, rtnl_fill_vfinfo().
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

BEGIN, TELL = 0xFFF0, 0xFFF1
FIRST_INDEX = 10
NETLINK_USERSOCK = 2
_NEWLINK, _GETLINK, _SETLINK, _ERROR = 16, 18, 19, 2
_ACK, _DUMP = 0x4, 0x300
_NAME, _EXT_MASK, _NUM_VF, _VF_LIST, _MTU = 3, 29, 21, 22, 4
_FILTER_VF, _SKIP_STATS = 1, 8
_HEADER_BYTES, _LINK_BYTES = 16, 16
_SEND_BYTES = 1 << 20
_VF_MAC, _VF_VLAN, _VF_SPOOFCHK, _VF_LINK_STATE, _VF_RATE, _VF_TRUST = 1, 2, 4, 5, 6, 9
_NO_SUCH_DEVICE = -19


def mac(pf: int, index: int) -> str:
    """The MAC of the port that has a VF."""
    return f"fa:16:3e:{pf:02x}:{index >> 8:02x}:{index & 0xFF:02x}"


@dataclass(slots=True)
class Vf:
    """What a PF holds for one VF."""

    mac: str
    vlan: int = 0
    qos: int = 0
    spoofchk: int = 1
    link_state: int = 0
    trust: int = 0
    min_tx_rate: int = 0
    max_tx_rate: int = 0

    def encode(self, index: int, *, counters: bool) -> bytes:
        """One IFLA_VF_INFO, in the order of rtnl_fill_vfinfo()."""
        address = bytes.fromhex(self.mac.replace(":", "")).ljust(32, b"\0")
        pairs = (
            (_VF_MAC, struct.pack("=I32s", index, address)),
            (13, b"\xff" * 6 + bytes(26)),  # broadcast
            (_VF_VLAN, struct.pack("=III", index, self.vlan, self.qos)),
            (_VF_RATE, struct.pack("=III", index, self.min_tx_rate, self.max_tx_rate)),
            (3, struct.pack("=II", index, self.max_tx_rate)),
            (_VF_SPOOFCHK, struct.pack("=II", index, self.spoofchk)),
            (_VF_LINK_STATE, struct.pack("=II", index, self.link_state)),
            (7, struct.pack("=II", index, 0)),  # RSS query
            (_VF_TRUST, struct.pack("=II", index, self.trust)),
            (12, _attribute(1, struct.pack("=IIIHH", index, self.vlan, self.qos, 0x81, 0))),
        )
        body = b"".join(_attribute(kind, data) for kind, data in pairs)
        if counters:
            body += _attribute(8, b"".join(_attribute(one, bytes(8)) for one in range(8)))
        return _attribute(1, body)

    def write(self, kind: int, data: bytes) -> None:
        """Take over one attribute of IFLA_VF_INFO."""
        words = struct.unpack_from("=III" if kind in (_VF_VLAN, _VF_RATE) else "=II", data)
        match kind:
            case 1:
                self.mac = ":".join(f"{byte:02x}" for byte in data[4:10])
            case 2:
                _, self.vlan, self.qos = words
            case 4:
                self.spoofchk = words[1]
            case 5:
                self.link_state = words[1]
            case 6:
                _, self.min_tx_rate, self.max_tx_rate = words
            case 9:
                self.trust = words[1]


class Kernel:
    """The PFs, and what was asked of them."""

    def __init__(self, pfs: int, vfs: int, *, counters: bool) -> None:
        self._size = pfs, vfs
        self._counters = counters
        self.begin()

    def begin(self) -> None:
        """Put every VF to rest and count from none."""
        pfs, vfs = self._size
        self.vfs = [[Vf(mac(pf, index)) for index in range(vfs)] for pf in range(pfs)]
        self._encoded: dict[tuple[int, int, bool], bytes] = {}
        self.asked: Counter[str] = Counter()

    def told(self) -> bytes:
        """What was asked since the round began, and what the VFs are set to."""
        vfs = [[asdict(vf) for vf in one] for one in self.vfs]
        return json.dumps({"asked": self.asked, "vfs": vfs}).encode()

    def answers(self, request: bytes) -> list[bytes]:
        """One datagram each; an acknowledgement is one of its own, as in the kernel."""
        _, kind, flags, sequence, port = struct.unpack_from("=IHHII", request)
        (index,) = struct.unpack_from("=i", request, _HEADER_BYTES + 4)
        given = dict(_attributes(request[_HEADER_BYTES + _LINK_BYTES :]))
        self.asked["messages"] += 1
        self.asked["dumps"] += flags & _DUMP == _DUMP
        pf = self._pf(index, given)
        code, found = 0, []
        if pf is None:
            code, flags = _NO_SUCH_DEVICE, flags | _ACK
        elif kind == _GETLINK:
            found = [_message(_NEWLINK, sequence, port, self._link(pf, given))]
        else:
            self.asked["writes"] += 1
            self._write(pf, given)
        if flags & _ACK:
            body = struct.pack("=i", code) + request[:_HEADER_BYTES]
            found.append(_message(_ERROR, sequence, port, body))
        self.asked["bytes"] += sum(map(len, found))
        return found

    def _pf(self, index: int, given: dict[int, bytes]) -> int | None:
        if index == 0 and (name := given.get(_NAME, b"").rstrip(b"\0").decode()):
            index = int(name.removeprefix("pf")) + FIRST_INDEX
        number = index - FIRST_INDEX
        return number if 0 <= number < len(self.vfs) else None

    def _link(self, pf: int, given: dict[int, bytes]) -> bytes:
        (mask,) = struct.unpack("=I", given.get(_EXT_MASK, bytes(4)))
        self.asked["reads of all VFs" if mask & _FILTER_VF else "reads of the link"] += 1
        body = struct.pack("=BxHiII", 0, 1, pf + FIRST_INDEX, 0x1043, 0)
        body += _attribute(_NAME, f"pf{pf}".encode() + b"\0")
        body += _attribute(_MTU, struct.pack("=I", 1500))
        if mask & _FILTER_VF:
            counters = self._counters and not mask & _SKIP_STATS
            infos = [self._info(pf, index, counters) for index in range(len(self.vfs[pf]))]
            body += _attribute(_NUM_VF, struct.pack("=I", len(infos)))
            body += _attribute(_VF_LIST, b"".join(infos))
        return body

    def _info(self, pf: int, index: int, counters: bool) -> bytes:
        key = pf, index, counters
        if key not in self._encoded:
            self._encoded[key] = self.vfs[pf][index].encode(index, counters=counters)
        return self._encoded[key]

    def _write(self, pf: int, given: dict[int, bytes]) -> None:
        for _, info in _attributes(given[_VF_LIST]):
            for kind, data in _attributes(info):
                (index,) = struct.unpack_from("=I", data)
                self.vfs[pf][index].write(kind, data)
                self._encoded.pop((pf, index, False), None)
                self._encoded.pop((pf, index, True), None)


def _attribute(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    # The length has 16 bits; the kernel's, too, wraps with too many VFs.
    return struct.pack("=HH", length & 0xFFFF, kind) + data + bytes(-length % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _message(kind: int, sequence: int, port: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", _HEADER_BYTES + len(body), kind, 0, sequence, port) + body


def main(pfs: int, vfs: int, counters: bool, delay_s: float) -> None:
    """Answer until SIGTERM."""
    kernel = Kernel(pfs, vfs, counters=counters)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_USERSOCK) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        wire.bind((0, 0))
        print(f"ready {wire.getsockname()[0]}", flush=True)
        while True:
            request, sender = wire.recvfrom(1 << 16)
            (kind,) = struct.unpack_from("=H", request, 4)
            if kind == BEGIN:
                kernel.begin()
                wire.sendto(b"{}", sender)
            elif kind == TELL:
                wire.sendto(kernel.told(), sender)
            else:
                time.sleep(delay_s)
                with suppress(ConnectionRefusedError):  # has what it wanted, and is gone
                    for one in kernel.answers(request):
                        wire.sendto(one, sender)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "counters", float(sys.argv[4]))

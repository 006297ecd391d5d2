"""A DHCP client of a few packets, run in a guest's network namespace; prints what it was told.

    dhcp_client.py v4 INTERFACE MAC...      what each MAC is offered and acknowledged, in turn
    dhcp_client.py renew INTERFACE MAC IP   what is said to a guest that has IP and asks everybody
    dhcp_client.py v6 INTERFACE             the address that is advertised, and DNS servers
    dhcp_client.py v6-rest INTERFACE        DNS servers, asked for without an address

A MAC that is answered nothing is null: of two that ask in turn, the answer to the second shows that
the first was heard.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import sys
from typing import Any

_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _REQUEST, _ACK = 1, 3, 5
_ASKED = bytes((1, 3, 6, 12, 15, 26, 28, 51, 54, 66, 67, 121))
_BROADCAST = "255.255.255.255"
_WAIT_S = 3.0


def main(arguments: list[str]) -> None:
    kind, interface, *rest = arguments
    if kind in {"v6", "v6-rest"}:
        print(json.dumps(advertised(interface, 1 if kind == "v6" else 11)))
        return
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as wire:
        wire.bind((interface, 0))
        wire.settimeout(_WAIT_S)
        if kind == "renew":
            print(json.dumps(ask(wire, rest[0], _REQUEST, own=rest[1])))
            return
        print(json.dumps([leased(wire, mac) for mac in rest]))


def leased(wire: socket.socket, mac: str) -> dict[str, Any] | None:
    offer = ask(wire, mac, _DISCOVER)
    if offer is None:
        return None
    wanted = ((50, offer["ip"]), (54, offer["54"]))
    more = b"".join(bytes((code, 4)) + socket.inet_aton(ip) for code, ip in wanted)
    return ask(wire, mac, _REQUEST, more)


def ask(
    wire: socket.socket, mac: str, kind: int, more: bytes = b"", own: str = "0.0.0.0"
) -> dict[str, Any] | None:
    hardware = bytes.fromhex(mac.replace(":", ""))
    number = int.from_bytes(hardware[-4:], "big")
    flags = 0 if own != "0.0.0.0" else 0x8000
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, number, 0, flags) + socket.inet_aton(own)
    message = head + bytes(12) + hardware + bytes(10 + 192) + _COOKIE
    message += bytes((53, 1, kind)) + more + bytes((55, len(_ASKED))) + _ASKED + b"\xff"
    wire.send(b"\xff" * 6 + hardware + b"\x08\x00" + _packet(message, own))
    try:
        while True:
            found = _read(wire.recv(4096), number)
            if found is not None:
                return found
    except TimeoutError:
        return None


def _packet(message: bytes, source: str) -> bytes:
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    ends = socket.inet_aton(source) + socket.inet_aton(_BROADCAST)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


def _read(frame: bytes, number: int) -> dict[str, Any] | None:
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    udp = frame[14 + 4 * (frame[14] & 15) :]
    message = udp[8:]
    if udp[2:4] != b"\x00\x44" or int.from_bytes(message[4:8], "big") != number:
        return None
    said: dict[str, Any] = {"ip": socket.inet_ntoa(message[16:20])}
    options = message[240:]
    while options and options[0] != 0xFF:
        code, length = options[0], options[1]
        said[str(code)] = _value(code, options[2 : 2 + length])
        options = options[2 + length :]
    return said


def _value(code: int, value: bytes) -> Any:
    if code in {1, 3, 6, 28, 54}:
        texts = [socket.inet_ntoa(value[at : at + 4]) for at in range(0, len(value), 4)]
        return texts if code in {3, 6} else texts[0]
    if code == 121:
        return list(_routes(value))
    return value.decode().rstrip("\0") if code in {12, 15, 66, 67} else int.from_bytes(value, "big")


def _routes(value: bytes) -> Any:
    while value:
        octets = (value[0] + 7) // 8
        to = socket.inet_ntoa(value[1 : 1 + octets].ljust(4, b"\0"))
        yield f"{to}/{value[0]}", socket.inet_ntoa(value[1 + octets : 5 + octets])
        value = value[5 + octets :]


def advertised(interface: str, kind: int) -> list[Any] | None:
    """Ask who serves IPv6 (SOLICIT 1, INFORMATION-REQUEST 11); address and DNS servers of the
    answer.
    """
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as wire:
        wire.settimeout(_WAIT_S)
        wire.bind(("::", 546))
        to = ("ff02::1:2", 547, 0, socket.if_nametoindex(interface))
        identity = struct.pack("!HHHI", 1, 10, 2, 7) + b"test"
        asked = struct.pack("!HHIII", 3, 12, 1, 0, 0) if kind == 1 else b""
        asked += struct.pack("!HHH", 6, 2, 23)
        wire.sendto(bytes((kind, 0, 0, 7)) + identity + asked, to)
        try:
            options = wire.recv(4096)[4:]
        except TimeoutError:
            return None
    address, servers = None, []
    while options:
        code, length = struct.unpack("!HH", options[:4])
        value = options[4 : 4 + length]
        if code == 3 and len(value) >= 32:
            address = str(ipaddress.IPv6Address(value[16:32]))
        if code == 23:
            servers = [
                str(ipaddress.IPv6Address(value[at : at + 16])) for at in range(0, length, 16)
            ]
        options = options[4 + length :]
    return [address, servers]


if __name__ == "__main__":
    main(sys.argv[1:])

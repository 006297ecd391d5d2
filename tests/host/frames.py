"""Frames as bytes, for a real switch."""

from __future__ import annotations

import ipaddress
import struct

SYN, ACK, RST = 0x02, 0x10, 0x04


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(src: str, dst: str, kind: int, payload: bytes, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return (mac(dst) + mac(src) + tag + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def arp(src: str, dst: str, told_mac: str, told: str, asked: str, op: int = 1) -> bytes:
    ends = (mac(told_mac), _ip(told), bytes(6), _ip(asked))
    body = struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + b"".join(ends)
    return ethernet(src, dst, 0x806, body)


def ipv4(src: str, dst: str, protocol: int, payload: bytes, *, fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
    head += _ip(src) + _ip(dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(
    src: str, dst: str, sport: int, dport: int, flags: int, seq: int = 1, ack: int = 0
) -> bytes:
    body = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, 0, 0)
    return ipv4(src, dst, 6, _summed(src, dst, 6, body, 16))


def udp(src: str, dst: str, sport: int, dport: int, data: bytes = b"x") -> bytes:
    body = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return ipv4(src, dst, 17, _summed(src, dst, 17, body, 6))


def unreachable(src: str, dst: str, about: bytes) -> bytes:
    """ICMP: the port that *about*, an IPv4 packet, was sent to is closed."""
    body = struct.pack("!BBHI", 3, 3, 0, 0) + about[:28]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ipv4(src, dst, 1, body)


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def _summed(src: str, dst: str, protocol: int, body: bytes, at: int) -> bytes:
    pseudo = _ip(src) + _ip(dst) + struct.pack("!BBH", 0, protocol, len(body))
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]


def _ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed

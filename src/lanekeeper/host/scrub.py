"""Taking out of a captured tree what tells the machine or its owner.

Replaced are hardware addresses, serial numbers (in configuration space and VPD too), IP addresses,
host and guest names, UUIDs and machine ids. Nothing that decides is: ids, drivers, groups, nodes,
options stay as they are, so checks and plans answer as for the original.

Source: PCI Local Bus Specification 3.0, appendix I (VPD); PCI Express Base Specification, Device
Serial Number capability; Linux ``net/ipv4/fib_trie.c`` and ``net/ipv6/route.c`` for the routes.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.vf import STABLE, mac_of
from lanekeeper.host.pseudonym import Pseudonyms
from lanekeeper.host.tree import HEADER, Entry, Kind, parse
from lanekeeper.host.vital_data import replace_serial, scrub_vpd

_MAC = re.compile(r"(?<![0-9a-f:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])", re.IGNORECASE)
_ENX = re.compile(r"(?<=\benx)[0-9a-f]{12}\b")  # systemd.net-naming-scheme(7)
_DASHED = re.compile(r"(?<![0-9a-f-])[0-9a-f]{2}(?:-[0-9a-f]{2}){7}(?![0-9a-f-])", re.IGNORECASE)
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_MACHINE_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.-])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9a-f:]*:[0-9a-f:]*:)[0-9a-f:]{3,39}(?![\w:.])", re.IGNORECASE)
_SERIAL_FIELD = re.compile(r'(?<=serial_number":)(\s*")([^"]+)')  # devlink's JSON
_GUEST_FIELD = re.compile(r'(?<="name":)(")([^"]+)')
_EFI_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"  # UEFI: SecureBoot's, everywhere
_REMOTE = re.compile(r"^(?://)?([^/\s:\[\]]+)(?=:/|/)", re.MULTILINE)
_HEX_COLUMNS = {
    "proc/net/route": (1, 2),
    "proc/net/ipv6_route": (0, 2, 4),
    "proc/net/if_inet6": (0,),
}
_SWITCH_ID = re.compile(r"/phys_switch_id$")
_INTERFACE_MAC = re.compile(r"/net/[^/]+/address$")
_VFS_MAX = 256  # of a PF, as far as cards have them
_LOCAL = frozenset(("localhost", "localdomain"))


def scrub(text: str) -> str:
    """Return the tree *text* with pseudonyms; what is consistent before is so after.

    Raises:
        Invalid: *text* is no tree, or an original would remain in a place that is not understood.
    """
    entries = list(parse(text))
    first = _Scrubber(entries, ())
    for entry in entries:
        first.entry(entry)
    scrubber = _Scrubber(entries, first.originals)  # no pseudonym is somebody else's original
    done = [scrubber.entry(entry) for entry in entries]
    scrubber.check(done)
    return "\n".join([HEADER, *map(str, done), ""])


class _Scrubber:
    def __init__(self, entries: list[Entry], avoid: tuple[str, ...]) -> None:
        self._new = Pseudonyms(avoid)
        self._names = _host_names(entries)
        self._stable = _stable_macs(entries)
        for entry in entries:  # a policy may name serial numbers that stand in binary files
            if entry.path.endswith("/config"):
                replace_serial(entry.content, self._new.serial)

    @property
    def originals(self) -> tuple[str, ...]:
        return self._new.originals

    def entry(self, entry: Entry) -> Entry:
        return replace(entry, path=self._text(entry.path), content=self._content(entry))

    def check(self, entries: list[Entry]) -> None:
        """Refuse to hand out what still holds an original. Raises Invalid."""
        long = [one.encode() for one in self._new.originals if len(one) >= 8]  # noqa: PLR2004
        for entry in entries:
            for original in long:
                if original in entry.content:
                    raise Invalid(
                        f"{entry.path} still has {original.decode()!r} after scrubbing",
                        hint="leave that file out by hand, and tell us its format",
                    )

    def _content(self, entry: Entry) -> bytes:
        if entry.kind is Kind.REFUSED or not entry.content:
            return entry.content
        if entry.path.endswith("/config"):
            return replace_serial(entry.content, self._new.serial)
        if entry.path.endswith("/vpd"):
            return scrub_vpd(entry.content, lambda text: self._new.digits("vpd", text))
        if b"\0" in entry.content:
            return entry.content  # a table of the firmware
        return os.fsencode(self._file(entry.path, os.fsdecode(entry.content)))

    def _file(self, path: str, text: str) -> str:
        """Scrub a text file by what is known of its format, then by what any text may hold."""
        if path in _HEX_COLUMNS:
            return "\n".join(self._routes(_HEX_COLUMNS[path], text))
        if _SWITCH_ID.search(path):
            return self._new.digits("switch", text)
        if path == "proc/self/mounts":
            text = _REMOTE.sub(self._remote, text)
        if path == "captured/holders":
            text = _GUEST_FIELD.sub(lambda m: m[1] + self._new.word("guest", m[2]), text)
        return self._text(text)

    def _text(self, text: str) -> str:
        new = self._new
        text = _UUID.sub(lambda m: m[0] if m[0] == _EFI_GLOBAL else new.uuid(m[0]), text)
        text = _DASHED.sub(lambda m: new.serial(m[0].lower()), text)
        text = _MAC.sub(lambda m: self._mac(m[0]), text)
        text = self._interfaces(text)
        text = _MACHINE_ID.sub(lambda m: new.digits("id", m[0]), text)
        text = _IPV6.sub(self._ipv6, text)
        text = _IPV4.sub(self._ipv4, text)
        text = _SERIAL_FIELD.sub(lambda m: m[1] + new.digits("number", m[2]), text)
        for kind, name in self._names:
            wanted = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
            text = re.sub(wanted, partial(self._named, kind), text)
        return text

    def _mac(self, original: str) -> str:
        """A policy's ``mac: stable`` is made of the PF's MAC, and a plan looks whether it is so."""
        if (found := self._stable.get(original.lower())) is None:
            return self._new.mac(original)
        source, index = found
        made = partial(_made_of, index)
        return self._new.mac_made_of(original, made, source)

    def _interfaces(self, text: str) -> str:
        """Rename interfaces that are called by their MAC."""
        return _ENX.sub(lambda m: self._new.mac(_colons(m[0])).replace(":", ""), text)

    def _named(self, kind: str, found: re.Match[str]) -> str:
        return self._new.word(kind, found[0])

    def _ipv4(self, found: re.Match[str]) -> str:
        try:
            return self._new.ipv4(found[0])
        except ValueError:
            return found[0]  # a version number

    def _ipv6(self, found: re.Match[str]) -> str:
        try:
            return self._new.ipv6(found[0])
        except ValueError:
            return found[0]  # a time, or a part of a PCI address

    def _remote(self, found: re.Match[str]) -> str:
        return found[0].replace(found[1], self._new.word("server", found[1]))

    def _routes(self, columns: tuple[int, ...], text: str) -> Iterator[str]:
        for line in text.split("\n"):
            words = re.split(r"(\s+)", line)  # what is between stays as it is
            for column in columns:
                at = 2 * column
                if at < len(words):
                    words[at] = self._hex(words[at])
            yield self._interfaces("".join(words))

    def _hex(self, word: str) -> str:
        try:
            raw = bytes.fromhex(word)
        except ValueError:
            return word  # the heading
        if len(raw) == 4:  # noqa: PLR2004  # IPv4, in host order
            fresh = self._new.ipv4(str(ipaddress.IPv4Address(raw[::-1])))
            return ipaddress.IPv4Address(fresh).packed[::-1].hex().upper()
        if len(raw) == 16:  # noqa: PLR2004  # IPv6
            return ipaddress.IPv6Address(
                self._new.ipv6(str(ipaddress.IPv6Address(raw)))
            ).packed.hex()
        return word


def _stable_macs(entries: list[Entry]) -> dict[str, tuple[str, int]]:
    """Return each address that ``mac: stable`` may have made here, with whose VF has it."""
    macs = {
        os.fsdecode(entry.content).strip().lower()
        for entry in entries
        if _INTERFACE_MAC.search(entry.path)
    }
    plain = (mac for mac in sorted(macs) if _MAC.fullmatch(mac))
    return {
        made: (mac, index)
        for mac in plain
        for index in range(_VFS_MAX)
        if (made := _made_of(index, mac)) is not None
    }


def _made_of(index: int, mac: str) -> str | None:
    return mac_of(STABLE, mac, index, 0)


def _host_names(entries: list[Entry]) -> list[tuple[str, str]]:
    """The host's own name and its domain's; not one that is a distribution's."""
    texts = {entry.path: os.fsdecode(entry.content) for entry in entries}
    name, _, domain = texts.get("etc/hostname", "").strip().partition(".")
    release = {word.strip('"') for word in re.split(r"[=\n]", texts.get("etc/os-release", ""))}
    found = (("domain", domain), ("host", name))
    return [(kind, text) for kind, text in found if text and text not in release | _LOCAL]


def _colons(plain: str) -> str:
    return ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))

"""The files by which hosts have VFs made at boot, each as its reader takes it.

Source: udev(7); systemd.link(5), SR-IOVVirtualFunctions=; NetworkManager nm-settings(5),
sriov.total-vfs, and nm-settings-ifcfg-rh(5), SRIOV_TOTAL_VFS; netplan's YAML reference,
virtual-function-count; modprobe.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lanekeeper.domain.hostplan.modprobe_line import logical_lines
from lanekeeper.domain.hostplan.vf_count import Mark, Trait, VfCount
from lanekeeper.host.attribute import names, read_lines, read_text
from lanekeeper.host.netplan import netplan_counts

RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
LINKS = ("etc/systemd/network", "run/systemd/network", "usr/lib/systemd/network")
KEYFILES = tuple(f"{home}/NetworkManager/system-connections" for home in ("run", "etc", "usr/lib"))
NETPLAN = ("run/netplan", "etc/netplan", "lib/netplan")
"""Directories of one kind: a file hides those of its name in the directories behind, and one of
NetworkManager's those of its profile."""

MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")

COUNTS_BEHIND = tuple(
    home
    for homes in (RULES, LINKS, KEYFILES, NETPLAN, MODPROBE)
    for home in homes
    if not home.startswith("etc")
)
"""Those beside /etc."""

SCRIPTS = (
    ("etc/rc.local", "rc.local"),
    ("etc/rc.d/rc.local", "rc.local"),
    ("etc/systemd/system/*.service", "a unit"),
    ("etc/network/interfaces", "ifupdown"),
    ("etc/network/interfaces.d/*", "ifupdown"),
    ("etc/sysfs.conf", "sysfsutils"),
    ("etc/sysfs.d/*.conf", "sysfsutils"),
    ("etc/tmpfiles.d/*.conf", "systemd-tmpfiles"),
)
_IFCFG = "etc/sysconfig/network-scripts"

_MAX_VFS = re.compile(r"\bmax_vfs=([\d,]+)")
_OWNERS = {"options": "an option of modprobe.d", "install": "a command of modprobe.d"}
_CONDITION = re.compile(r'([A-Z]+(?:\{[^}]*\})?)\s*(==|!=)\s*"([^"]*)"')
_SET = re.compile(r'ATTR\{(?:device/)?sriov_numvfs\}\s*=(?!=)\s*"(\d*)')
_WRITES = re.compile(
    r"(?:>\|?\s*|\btee\s+(?:-\S+\s+)*|\bof=|^w[!+-]*\s+)(?:\$\([^)]*\)|[^\s;|&<>])*sriov_numvfs"
    r"|^(?:export\s+)?\w+=[^\s;|&<>()]*/sriov_numvfs[\"']?(?:\s*;|\s*$)"  # a path to write to later
    r"|^[^\s=]*/sriov_numvfs\s*=(?!=)"  # sysfsutils
)
_OF_A_UNIT = re.compile(r"^(?!Exec)[A-Z]\w*=")  # a condition, a variable: none writes anything
_NUMBER = re.compile(
    r"\b(?:echo|printf)\s+(?:-n\s+)?[\"']?(\d{1,9})\b|sriov_numvfs\s*=\s*(\d{1,9})\b"
    r"|^w.*\s(\d{1,9})$"
)
_OF_INTERFACE = re.compile(r"class/net/([\w.:@-]+)/device/sriov_numvfs")
_OF_FUNCTION = re.compile(r"devices/(?:\S*/)?([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/sriov")
_TRAITS = {
    "KERNEL": Trait.KERNEL_NAME,
    "KERNELS": Trait.KERNEL_NAME,
    "NAME": Trait.NAME,
    "ENV{INTERFACE}": Trait.NAME,
    "ENV{ID_PATH}": Trait.PATH,
    "DRIVER": Trait.DRIVER,
    "DRIVERS": Trait.DRIVER,
    "ENV{ID_NET_DRIVER}": Trait.DRIVER,
    **{f"ATTR{s}{{{d}vendor}}": Trait.VENDOR for s in ("", "S") for d in ("", "device/")},
    **{f"ATTR{s}{{{d}device}}": Trait.PRODUCT for s in ("", "S") for d in ("", "device/")},
    "ENV{PCI_SLOT_NAME}": Trait.KERNEL_NAME,
}
_MACS = ("ATTR{address}", "ATTRS{address}")


def read_count_lines(root: Path) -> tuple[VfCount, ...]:
    """Return each line that gives a PF VFs, in the files' order. Raises HostFault."""
    return tuple(_Reader(root).every())


class _Reader:
    def __init__(self, root: Path) -> None:
        self._root = root

    def every(self) -> Iterator[VfCount]:
        for path in self._first(RULES, ".rules"):
            yield from self._rules(path)
        for path in self._first(LINKS, ".link"):
            yield from self._link(path)
        for path in self._profiles():
            yield from self._keyfile(path)
        for path in self._first(NETPLAN, ".yaml"):
            yield from netplan_counts(path, self._lines(path), self._of_mac)
        for name in names(str(self._root / _IFCFG)):
            if name.startswith("ifcfg-"):
                yield from self._ifcfg(f"{_IFCFG}/{name}")
        for path in self._first(MODPROBE, ".conf"):
            yield from self._modprobe(path)
        yield from self._scripts()

    def _first(self, directories: tuple[str, ...], end: str) -> list[str]:
        """Return the file of each name that counts, in the order of names."""
        found: dict[str, str] = {}
        for home in directories:
            for name in names(str(self._root / home)):
                if name.endswith(end):
                    found.setdefault(name, f"{home}/{name}")
        return [found[name] for name in sorted(found)]

    def _profiles(self) -> list[str]:
        """Return the keyfiles that count, in the order of names: the first of each profile.

        Source: NetworkManager src/core/settings/plugins/keyfile/nms-keyfile-utils.c,
        nms_keyfile_storage_cmp(); nm-keyfile-utils.c, nm_keyfile_utils_ignore_filename().
        """
        found: dict[str, str] = {}
        for path in self._first(KEYFILES, ""):
            if not path.startswith("etc/") and not path.endswith(".nmconnection"):
                continue
            if path.endswith("~") or "/." in path:
                continue
            uuids = (v for _, _, key, v in _settings(self._lines(path)) if key == "uuid")
            uuid = next(uuids, path)
            other = found.setdefault(uuid, path)
            if _rank(path) < _rank(other):
                found[uuid] = path
        return sorted(found.values(), key=lambda path: path.rpartition("/")[2])

    def _lines(self, path: str) -> list[str]:
        at = self._root / path
        return read_lines(str(at)) if at.is_file() else []

    def _of_mac(self, mac: str) -> Mark:
        """Return the interfaces with an address; none may have it."""
        base = self._root / "sys/class/net"
        has = (n for n in names(str(base)) if read_text(str(base / n / "address")) == mac.lower())
        return Mark(Trait.NAME, tuple(has))

    def _rules(self, path: str) -> Iterator[VfCount]:
        for line in logical_lines(self._lines(path)):
            text = line.text.strip()
            if "sriov_numvfs" not in text or text.startswith("#"):
                continue
            found = _SET.search(text)
            if found is None and not ("RUN" in text and _WRITES.search(text)):
                continue
            count = found[1] if found else _number(text)
            marks = tuple(self._conditions(text)) or tuple(_targets(text))
            owner = "a udev rule"
            yield VfCount(path, line.first, text, owner, int(count) if count else None, marks)

    def _conditions(self, text: str) -> Iterator[Mark]:
        for key, sign, value in _CONDITION.findall(text):
            patterns = tuple(value.split("|"))
            if key in _TRAITS:
                yield Mark(_TRAITS[key], patterns, sign == "!=")
            elif key in _MACS:
                having = (name for mac in patterns for name in self._of_mac(mac).patterns)
                yield Mark(Trait.NAME, tuple(having), sign == "!=")

    def _link(self, path: str) -> Iterator[VfCount]:
        marks: list[Mark] = []
        counts = []
        for number, section, key, value in _settings(self._lines(path)):
            words = tuple(value.lstrip("!").split())
            is_not = value.startswith("!")
            if (section, key) == ("Link", "SR-IOVVirtualFunctions") and value.isdecimal():
                counts.append((number, f"{key}={value}", int(value)))
            elif section != "Match":
                continue
            elif key in ("MACAddress", "PermanentMACAddress"):
                having = (name for mac in words for name in self._of_mac(mac).patterns)
                marks.append(Mark(Trait.NAME, tuple(having)))
            elif key in ("OriginalName", "Path", "Driver"):
                trait = {"Path": Trait.PATH, "Driver": Trait.DRIVER}.get(key, Trait.NAME)
                marks.append(Mark(trait, words, is_not))
        for number, text, count in counts:
            yield VfCount(path, number, text, "a .link file of systemd", count, tuple(marks))

    def _keyfile(self, path: str) -> Iterator[VfCount]:
        marks: list[Mark] = []
        counts = []
        for number, section, key, value in _settings(self._lines(path)):
            words = tuple(word for word in re.split(r"[;,\s]+", value) if word)
            match section, key:
                case "sriov", "total-vfs" if value.isdecimal():
                    counts.append((number, f"{key}={value}", int(value)))
                case (("connection" | "match"), "interface-name"):
                    marks.append(Mark(Trait.NAME, words))
                case (("ethernet" | "802-3-ethernet"), "mac-address"):
                    marks.append(self._of_mac(value))
                case "match", "driver":
                    marks.append(Mark(Trait.DRIVER, words))
                case "match", "path":
                    marks.append(Mark(Trait.PATH, words))
        for number, text, count in counts:
            yield VfCount(path, number, text, "NetworkManager", count, tuple(marks))

    def _ifcfg(self, path: str) -> Iterator[VfCount]:
        marks: list[Mark] = []
        counts = []
        for number, line in enumerate(self._lines(path), 1):
            key, sign, rest = line.strip().partition("=")
            value = rest.strip("\"' ")
            if key == "SRIOV_TOTAL_VFS" and value.isdecimal():
                counts.append((number, line.strip(), int(value)))
            elif sign and key == "DEVICE":
                marks.append(Mark(Trait.NAME, (value,)))
            elif sign and key == "HWADDR":
                marks.append(self._of_mac(value))
        for number, text, count in counts:
            yield VfCount(path, number, text, "NetworkManager", count, tuple(marks))

    def _modprobe(self, path: str) -> Iterator[VfCount]:
        """Yield what ``host apply`` does not take over: commands, and a distribution's lines."""
        for line in logical_lines(self._lines(path)):
            command, *words = line.text.split() or [""]
            is_ours_to_change = command == "options" and path.startswith(MODPROBE[0])
            given = _MAX_VFS.search(line.text)
            if not words or given is None or command not in _OWNERS or is_ours_to_change:
                continue
            counts = given[1]
            if counts.strip("0,"):
                count = int(counts) if counts.isdecimal() else None
                names_of = (words[0].replace("-", "_"), words[0].replace("_", "-"))
                text, owner = " ".join(line.text.split()), _OWNERS[command]
                yield VfCount(path, line.first, text, owner, count, (Mark(Trait.DRIVER, names_of),))

    def _scripts(self) -> Iterator[VfCount]:
        seen: set[Path] = set()
        for pattern, owner in SCRIPTS:
            for at in sorted(self._root.glob(pattern)):
                if at.resolve() in seen:  # Red Hat's /etc/rc.local is a link to the other
                    continue
                seen.add(at.resolve())
                path = str(at.relative_to(self._root))
                for number, line in enumerate(self._lines(path), 1):
                    text = line.strip()
                    is_said = not text.startswith(("#", ";")) and not _OF_A_UNIT.match(text)
                    if is_said and _WRITES.search(text):
                        count, marks = _number(text), tuple(_targets(text))
                        value = int(count) if count else None
                        yield VfCount(path, number, text, owner, value, marks)


def _rank(keyfile: str) -> int:
    return KEYFILES.index(keyfile.rpartition("/")[0])


def _settings(lines: list[str]) -> Iterator[tuple[int, str, str, str]]:
    """Yield number, section, key and value of each line of an INI file."""
    section = ""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            section = text[1:-1]
        elif "=" in text and not text.startswith(("#", ";")):
            key, _, value = text.partition("=")
            yield number, section, key.strip(), value.strip()


def _number(text: str) -> str:
    found = _NUMBER.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def _targets(text: str) -> Iterator[Mark]:
    """Yield whose attribute a command writes, where it says so without a variable."""
    if found := _OF_INTERFACE.search(text):
        yield Mark(Trait.NAME, (found[1],))
    elif found := _OF_FUNCTION.search(text):
        yield Mark(Trait.KERNEL_NAME, (found[1],))

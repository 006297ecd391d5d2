r"""A host's files as one text, so that a bug report can be pasted into a test.

One entry a line: path, sign, content. Paths are relative to the root.

    # lanekeeper tree 1
    sys/bus/pci/devices/0000:3b:00.0/vendor = 0x15b3      a file: the text and a line feed
    etc/hostname =| host1                                 a file without the last line feed
    sys/firmware/acpi/tables/DMAR : eJxz8XUMYmBg…         a binary file, zlib in base64
    sys/bus/pci/devices/0000:3b:00.2/physfn -> ../0000:3b:00.0
    sys/kernel/iommu_groups /                             an empty directory
    dev/kvm .                                             there, its content not kept
    sys/bus/pci/devices/0000:3b:00.0/vpd ! EIO            there, and the kernel refused to read it

Bytes outside printable ASCII, and backslashes, are written ``\xNN``, ``\n``, ``\t`` or ``\\``;
so is a blank in a path and one that ends a content. Lines that begin with ``#`` and empty lines
mean nothing, but for the last one of a captured tree, ``# end of N entries``.
"""

from __future__ import annotations

import base64
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lanekeeper.domain.errors import Invalid

HEADER = "# lanekeeper tree 1"
_END = re.compile(r"^# end of (\d+) entries$", re.MULTILINE)
_BUS = "sys/bus/pci/devices"
FILE_BYTES_MAX = 2**20
_LONG = {"n": b"\n", "t": b"\t", "\\": b"\\"}
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|n|t|\\)")
_BROKEN = re.compile(r"\\(?!x[0-9a-f]{2}|n|t|\\)")


class Kind(StrEnum):
    """What stands at a path; the value is its sign in the text."""

    LINE = "="
    BYTES = "=|"
    PACKED = ":"
    LINK = "->"
    DIRECTORY = "/"
    PRESENT = "."
    REFUSED = "!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a tree. *content* is a file's bytes, a link's target or an errno's name.

    An entry that was read is never PACKED: that is only how BYTES with a NUL are written.
    """

    path: str
    kind: Kind
    content: bytes = b""

    def __str__(self) -> str:
        path = _escape(os.fsencode(self.path), "# ")
        if self.kind in (Kind.BYTES, Kind.LINE) and b"\0" in self.content:
            feed = b"\n" if self.kind is Kind.LINE else b""
            packed = base64.b64encode(zlib.compress(self.content + feed, 9)).decode()
            return f"{path} {Kind.PACKED} {packed}"
        line = f"{path} {self.kind}"
        return f"{line} {_escape_end(self.content)}" if self.content else line


def parse(text: str) -> Iterator[Entry]:
    """Read a tree's entries in the order they stand.

    Raises:
        Invalid: a line that is none; the message has its number and says what is wrong.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        try:
            yield _entry(line)
        except Invalid as error:
            raise Invalid(f"line {number}: {error}", hint=error.hint) from error


def ended(text: str) -> str:
    """Return a tree with the line by which one that was cut off is known."""
    return f"{text}# end of {_count(text)} entries\n"


def require_whole(text: str) -> None:
    """Refuse a tree that lost some of what was written. Raises Invalid.

    One without header was written by hand, and one without its last line by an older version.
    """
    hint = "copy the file once more, or capture the machine again"
    if not text.startswith(HEADER):
        return
    number = text.count("\n")
    end = _END.search(text)
    if end is None and not text.endswith("\n"):
        raise Invalid(f"it is cut off in line {number + 1}", hint=hint)
    if end is None and f"\n{_BUS}" not in text:
        raise Invalid(f"it is cut off: after {number} lines no PCI function was met", hint=hint)
    if end is not None and _count(text) != int(end[1]):
        message = f"it is damaged: it has {_count(text)} entries, and {end[1]} were written"
        raise Invalid(message, hint=hint)


def _count(text: str) -> int:
    return sum(bool(line) and not line.startswith("#") for line in text.split("\n"))


def _entry(line: str) -> Entry:
    path, _, rest = line.partition(" ")
    sign, _, content = rest.partition(" ")
    if sign not in set(Kind):
        raise Invalid(f"{sign!r} is no sign", hint="one of = =| : -> / . ! stands after the path")
    name = os.fsdecode(_unescape(path))
    parts = name.split("/")
    if not name or "\0" in name or {"", ".", ".."} & set(parts):
        raise Invalid(f"path {path!r} does not stay below the root")
    if sign == Kind.PACKED:
        return Entry(name, Kind.BYTES, _unpack(content))
    return Entry(name, Kind(sign), _unescape(content))


def _unpack(text: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), FILE_BYTES_MAX)
    except (ValueError, zlib.error) as error:
        raise Invalid(f"the packed content is damaged: {error}") from error
    if not unpacker.eof:
        raise Invalid("the packed content is cut off, or unpacks to more than 1 MiB")
    return data


def plant(text: str, directory: Path) -> Path:
    """Build the tree below *directory*, which need not exist; return it.

    A refused file becomes a link to itself, which the kernel refuses to read too.

    Raises:
        Invalid: a bad line, two entries that cannot both be, or one that leads through a link.
    """
    directory.mkdir(parents=True, exist_ok=True)
    top = directory.resolve()
    made: set[Path] = set()
    for entry in parse(text):
        path = directory / entry.path
        try:
            if path.parent not in made:
                _make_parent(path.parent, top, entry)
                made.add(path.parent)
            _plant_one(path, entry)
        except OSError as error:
            raise Invalid(f"cannot plant {entry.path}: {error.strerror}") from error
    return directory


def _make_parent(parent: Path, top: Path, entry: Entry) -> None:
    if not parent.resolve().is_relative_to(top):
        raise Invalid(f"{entry.path} leads out of the tree through a link")
    parent.mkdir(parents=True, exist_ok=True)


def _plant_one(path: Path, entry: Entry) -> None:
    if entry.kind is Kind.DIRECTORY:
        path.mkdir(exist_ok=True)
    elif entry.kind is Kind.LINK:
        path.symlink_to(os.fsdecode(entry.content))
    elif entry.kind is Kind.REFUSED:
        path.symlink_to(path.name)
    else:
        feed = b"\n" if entry.kind is Kind.LINE else b""
        path.write_bytes(entry.content + feed)


def _escape(data: bytes, also: str = "") -> str:
    return "".join(_escape_byte(byte, also) for byte in data)


def _escape_end(data: bytes) -> str:
    """Escape *data*; blanks at its end too, since editors eat those."""
    inner = data.rstrip(b" ")
    return _escape(inner) + r"\x20" * (len(data) - len(inner))


def _escape_byte(byte: int, also: str) -> str:
    character = chr(byte)
    if character in "\n\t\\":
        return {"\n": r"\n", "\t": r"\t", "\\": r"\\"}[character]
    if not " " <= character <= "~" or character in also:
        return f"\\x{byte:02x}"
    return character


def _unescape(text: str) -> bytes:
    if broken := _BROKEN.search(_ESCAPED.sub("", text)):
        raise Invalid(f"{text[broken.start() :][:4]!r} is no escape", hint=r"\n \t \\ or \xNN")
    if not text.isascii():
        raise Invalid("a character outside ASCII", hint=r"write its UTF-8 bytes as \xNN")
    return _ESCAPED.sub(lambda found: _byte(found[1]), text).encode("latin-1")


def _byte(code: str) -> str:
    return chr(int(code[1:], 16)) if code[0] == "x" else _LONG[code].decode()

"""Lines of modprobe.d as modprobe reads them: one that ends in a backslash goes on in the next.

Source: kmod libkmod/libkmod-util.c, getline_wrapped(): both characters go, nothing takes their
place; a comment goes on, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CONTINUES = "\\"


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """What modprobe takes for one line; *parts* are the file's own, *first* counts from 1."""

    first: int
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(part.rstrip("\n").removesuffix(_CONTINUES) for part in self.parts)


def logical_lines(lines: Iterable[str]) -> Iterator[LogicalLine]:
    """Put the lines of a file together, with or without their ends."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(lines, 1):
        first = first if parts else number
        parts.append(line)
        if not line.rstrip("\n").endswith(_CONTINUES):
            yield LogicalLine(first, tuple(parts))
            parts = []
    if parts:
        yield LogicalLine(first, tuple(parts))

"""What of a host, beside Lanekeeper, sets how many VFs a PF has: which line, and whose PF."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from lanekeeper.domain.pci.device import PciDevice


class Trait(StrEnum):
    """By what of a PF a line says that it is meant."""

    KERNEL_NAME = "the kernel's name"  # of the interface or the function, as udev's KERNEL
    NAME = "the interface's name"
    PATH = "the path"  # as udev's ID_PATH: pci-0000:21:00.0
    DRIVER = "the driver"
    VENDOR = "the vendor"
    PRODUCT = "the product"


@dataclass(frozen=True, slots=True)
class Mark:
    """One condition: *patterns* are globs, of which one has to fit, or with *is_not* none."""

    trait: Trait
    patterns: tuple[str, ...]
    is_not: bool = False


@dataclass(frozen=True, slots=True)
class VfCount:
    """A line that gives a PF a number of VFs.

    Attributes:
        path: of the file, relative to the root.
        owner: what reads it, in words: ``a udev rule``.
        count: None where it is none of the line's own words, as a variable of a script.
        marks: whose it is; none where that cannot be told.
    """

    path: str
    number: int
    text: str
    owner: str
    count: int | None
    marks: tuple[Mark, ...] = ()

    @property
    def place(self) -> str:
        return f"/{self.path}:{self.number}"

    def __str__(self) -> str:
        return f"{self.place} has {self.text.strip()!r}"


def is_about(line: VfCount, pf: PciDevice, names: Collection[str]) -> bool:
    """Whether *line* says of itself that it means *pf*, whose interfaces have these *names*."""
    fits = (_fits(mark, pf, names) is not mark.is_not for mark in line.marks)
    return bool(line.marks) and all(fits)


def _fits(mark: Mark, pf: PciDevice, names: Collection[str]) -> bool:
    address = pf.address
    values = {
        Trait.KERNEL_NAME: (*names, str(address)),
        Trait.NAME: tuple(names),
        Trait.PATH: (f"pci-{address}",),
        Trait.DRIVER: (pf.driver or "",),
        Trait.VENDOR: (f"0x{pf.vendor_id:04x}",),
        Trait.PRODUCT: (f"0x{pf.product_id:04x}",),
    }[mark.trait]
    return any(fnmatchcase(value, pattern) for value in values for pattern in mark.patterns)

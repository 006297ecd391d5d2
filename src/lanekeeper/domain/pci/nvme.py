"""How an NVMe drive can be erased, by what it says of itself, and whether it has been.

Source: NVM Express Base Specification 2.0, figures 275 (Identify Controller: OACS, FNA, SANICAP),
Format NVM, Sanitize; NVM Command Set Specification 1.0, figure 97 (Identify Namespace).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from lanekeeper.domain.errors import Invalid

NVME = 0x0108
"""Class and subclass; PCI Code and ID Assignment Specification."""
IDENTIFY_BYTES = 4096
_LISTED = re.compile(r"\[ *\d+\]: *(0x[0-9a-f]{1,8}|0)")
SAMPLES = 64
"""Blocks of a namespace that are looked at before and after, the first and the last among them."""


Choose = Callable[[Sequence[int], int], Sequence[int]]
"""Takes so many of them by chance: ``random.Random.sample``."""


class SecureErase(IntEnum):
    """What a Format does beyond laying out anew, as in its field SES."""

    USER_DATA = 1
    CRYPTO = 2


class SanitizeAction(IntEnum):
    """What a Sanitize does, as in its field SANACT."""

    BLOCK_ERASE = 2
    CRYPTO_ERASE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """One controller.

    Attributes:
        id: CNTLID, by which others of the drive know it.
        formats: knows Format NVM.
        formats_all: a Format, or its erasing, strikes every namespace of the drive.
        crypto: a Format may throw the key away.
        manages: knows Namespace Management, so whoever had it may have deleted namespaces.
        sanitizes: what Sanitize can do, the better first.
    """

    id: int
    formats: bool
    formats_all: bool
    crypto: bool
    manages: bool
    sanitizes: tuple[SanitizeAction, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the answer to Identify Controller. Raises Invalid."""
        _check(data)
        oacs, fna = _number(data, 256, 2), data[524]
        sanicap = _number(data, 328, 4)
        return cls(
            id=_number(data, 78, 2),
            formats=bool(oacs & 1 << 1),
            formats_all=bool(fna & 0b11),
            crypto=bool(fna & 1 << 2),
            manages=bool(oacs & 1 << 3),
            sanitizes=(
                *([SanitizeAction.BLOCK_ERASE] if sanicap & 1 << 1 else []),
                *([SanitizeAction.CRYPTO_ERASE] if sanicap & 1 << 0 else []),
            ),
        )


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace: *blocks* of *block_bytes* each."""

    blocks: int
    block_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the answer to Identify Namespace. Raises Invalid."""
        _check(data)
        flbas = data[26]
        index = flbas & 0xF | (flbas >> 5 & 0b11) << 4
        shift = data[128 + 4 * index + 2]
        if not 9 <= shift <= 16:  # noqa: PLR2004  # 512 bytes to 64 KiB
            raise Invalid(f"a namespace has blocks of 2^{shift} bytes")
        return cls(_number(data, 0, 8), 1 << shift)

    def sample(self, choose: Choose) -> tuple[int, ...]:
        """Name blocks to look at: the first, the last, and what *choose* takes of the rest."""
        if self.blocks <= SAMPLES:
            return tuple(range(self.blocks))
        some = choose(range(1, self.blocks - 1), SAMPLES - 2)
        return tuple(sorted({0, self.blocks - 1, *some}))


@dataclass(frozen=True, slots=True)
class Erasure:
    """One way to erase: by Sanitize the whole drive, by Format each namespace."""

    action: SanitizeAction | SecureErase

    @property
    def scrambles(self) -> bool:
        """Only the key goes: what was readable is other bytes then, not the same."""
        # Not by value: block erase of the one is crypto erase of the other.
        return self.action is SanitizeAction.CRYPTO_ERASE or self.action is SecureErase.CRYPTO

    def __str__(self) -> str:
        name = self.action.name.lower().replace("_", " ")
        if isinstance(self.action, SanitizeAction):
            return f"sanitize ({name})"
        return f"format ({name} erase)"


def erasure(controller: Controller, *, alone: bool) -> Erasure:
    """Choose how to erase what a controller has.

    *alone*: nobody else has a part of the drive. Sanitize reaches what no namespace shows any more,
    but always strikes the whole drive, as some drives' Format does.

    Raises:
        Invalid: there is no way that spares the others, or none at all.
    """
    if alone and controller.sanitizes:
        return Erasure(controller.sanitizes[0])
    if not controller.formats:
        raise Invalid("it knows neither Format nor a Sanitize that may be used here")
    if controller.formats_all and not alone:
        raise Invalid("its Format erases all namespaces of the drive, those of others too")
    return Erasure(SecureErase.CRYPTO if controller.crypto else SecureErase.USER_DATA)


def is_erased(how: Erasure, before: bytes, after: bytes) -> bool:
    """Whether one block that was read *before* and *after* holds nothing of what it held.

    Erased blocks read as all zeros or all ones; where only the key went, as anything else than
    before.
    """
    blank = len(set(after)) == 1 and after[0] in (0x00, 0xFF)
    return blank or (how.scrambles and before != after)


def listed_ids(text: str) -> Iterator[int]:
    """Read what ``nvme list-ns`` and ``list-ctrl`` print: ``[   0]:0x1``; 0 is a plain ``0``."""
    for line in text.splitlines():
        if found := _LISTED.fullmatch(line.strip()):
            yield int(found[1], 16)


def _check(data: bytes) -> None:
    if len(data) != IDENTIFY_BYTES:
        raise Invalid(f"an answer to Identify has {len(data)} bytes, not {IDENTIFY_BYTES}")


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
